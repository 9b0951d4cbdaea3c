"""The user's own data as the registry knows it: its splits, metrics and tasks, and what a model learned."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lmms_manu import variables
from lmms_manu.benchmarks.base import Benchmark, DataChoice, Metric, Role, Task
from lmms_manu.benchmarks.example import Example
from lmms_manu.benchmarks.own import results
from lmms_manu.benchmarks.own.files import Files, choose, current
from lmms_manu.benchmarks.own.names import BENCHMARK, LIKELIHOOD, SETS, SPLITS, TASKS, group_name
from lmms_manu.benchmarks.own.people import digest, load_people, no_table
from lmms_manu.benchmarks.own.questions import no_questions
from lmms_manu.benchmarks.own.rows import Row
from lmms_manu.benchmarks.pictures import EncodedPicture
from lmms_manu.benchmarks.sample import Sample
from lmms_manu.errors import DataError
from lmms_manu.sources import expanded


def _likelihood(name: str, label: str, *, floor: float = 0.0, higher_when_forgotten: bool = False) -> Metric:
    return Metric(
        name,
        label,
        LIKELIHOOD,
        name,
        digits=3,
        unit="",
        floor=floor,
        maximum=1.0,
        higher_when_forgotten=higher_when_forgotten,
        in_rates=False,
    )


class Own(Benchmark):
    """People in tables that the user names: to forget, to retain, and others to ask about."""

    name = BENCHMARK
    title = "Own data"
    splits = SPLITS
    asks_what_there_is = True
    metrics = (
        Metric("rouge_l", "ROUGE-L", "generation", "rouge_l", digits=3, unit="", maximum=1.0),
        Metric("answer_recall", "Answer recall", "generation", "answer_recall", digits=3, unit="", maximum=1.0),
        # As for a choice of four; with another number of options a model that knows nothing scores another share.
        Metric(
            "classification",
            "Classification",
            "classification",
            "classification_accuracy",
            floor=25.0,
            is_right_or_wrong=True,
        ),
        Metric("cloze", "Cloze", "cloze", "cloze_accuracy", is_right_or_wrong=True),
        _likelihood("answer_probability", "P(answer)"),
        _likelihood("option_probability", "P(right option)", floor=0.25),
        _likelihood("truth_ratio", "Truth ratio", higher_when_forgotten=True),
    )
    quality = (
        Metric("unparsed", "Unparsed", "classification", "unparsed", scale=100.0, per="scored", higher_is_better=False),
    )

    def tasks(self) -> Sequence[Task]:
        return tuple(TASKS.values())

    def choose(self, settings: DataChoice | None) -> None:
        choose(None if settings is None else Files.of_arguments(settings))

    def no_questions(self, task: str) -> str:
        people = load_people(current())
        if task in TASKS:
            return no_questions(TASKS[task], people)
        groups = {group_name(name, kind): name for name in SETS for kind in ("", LIKELIHOOD)}
        return no_table(groups[task]) if task in groups and groups[task] not in people.sets else ""

    def people(self, role: Role, settings: DataChoice, dataset: str | None = None) -> Sequence[str]:
        people = load_people(Files.of(settings, dataset))
        if role == "retain" and role not in people.sets:
            return ()
        return tuple(dict.fromkeys(row.subject for row in people.rows(role)))

    def examples(
        self, people: Sequence[str], modality: str, settings: DataChoice, dataset: str | None = None
    ) -> Sequence[Example]:
        known = load_people(Files.of(settings, dataset))
        wanted = frozenset(people)
        found: dict[str, list[Example]] = {}
        for name in ("forget", "retain"):
            rows = [row for row in known.sets.get(name, ()) if row.subject in wanted and row.asked(modality)]
            for row in known.whole(rows) if modality == "multimodal" else rows:
                found.setdefault(row.subject, []).append(_example(row, modality))
        return [example for name in people for example in found.get(name, ())]

    def read_sample(self, line: Mapping[str, Any], task: Task) -> Sample:
        return results.read_sample(line)

    def pictures(self, references: Sequence[str], dataset: str) -> Iterator[tuple[str, Image.Image]]:
        people = load_people(Files.parse(dataset))
        for reference in references:
            name, _, position = reference.partition("/")
            picture = people.rows(name)[int(position)].picture
            # Pillow raises errors of many kinds on what is no picture.
            with contextlib.suppress(Exception):
                if picture is not None:
                    yield reference, picture.decode(reference)

    def is_at_hand(self, dataset: str) -> bool:
        return all(Path(expanded(source)).exists() for source in Files.parse(dataset).named().values())

    def protocol(self) -> Mapping[str, Any]:
        return {variables.OWN_DATA: os.environ.get(variables.OWN_DATA) or ""}

    def files(self) -> Sequence[Path]:
        try:
            named = current().named().values()
        except DataError:  # tasks of other benchmarks need none
            return ()
        return [path for source in named if (path := Path(expanded(source))).is_file()]


def _example(row: Row, modality: str) -> Example:
    if modality == "text" or row.picture is None:
        return Example(row.subject, row.text_question, row.answer, "text")
    return Example(
        row.subject,
        row.question,
        row.answer,
        "multimodal",
        pictures=functools.partial(_decoded, row.picture, row.place),
        digest=functools.partial(digest, row),
    )


def _decoded(picture: EncodedPicture, place: str) -> list[Image.Image]:
    return [picture.decode(f"the picture of {place}")]
