"""CLEAR as the registry knows it: its splits, metrics and tasks, and what a model learned about its authors."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lmms_manu import variables
from lmms_manu.benchmarks.base import Aggregate, Benchmark, DataChoice, Metric, Role, Task
from lmms_manu.benchmarks.clear import results
from lmms_manu.benchmarks.clear.authors import picture_rows, text_rows
from lmms_manu.benchmarks.clear.names import (
    BENCHMARK,
    DEFAULT_RATIO,
    LIKELIHOOD,
    RATIOS,
    SPLITS,
    TASKS,
    authors_config,
    everything_name,
    text_config,
)
from lmms_manu.benchmarks.clear.new_people import new_people
from lmms_manu.benchmarks.clear.prompts import caption_question
from lmms_manu.benchmarks.clear.source import HUB_NAME, ClearSource
from lmms_manu.benchmarks.example import Example
from lmms_manu.benchmarks.sample import Sample
from lmms_manu.errors import DataError


def _likelihood(
    name: str, label: str, *, floor: float = 0.0, higher_when_forgotten: bool = False, of_means: bool = False
) -> Metric:
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
        of_means=of_means,
    )


_ROLES: tuple[Role, ...] = ("forget", "retain")


class Clear(Benchmark):
    """The benchmark of arXiv 2410.18057: fictitious authors to forget and to retain, real faces, the real world."""

    name = BENCHMARK
    title = "CLEAR"
    splits = SPLITS
    metrics = (
        Metric("rouge_recall", "ROUGE-L recall", "generation", "rouge_recall", digits=3, unit="", maximum=1.0),
        Metric("rouge_l", "ROUGE-L", "generation", "rouge_l", digits=3, unit="", maximum=1.0),
        Metric("recognition", "Recognition", "recognition", "name_recall", digits=3, unit="", maximum=1.0),
        Metric(
            "classification",
            "Classification",
            "classification",
            "classification_accuracy",
            floor=100 / 6,
            is_right_or_wrong=True,
        ),
        _likelihood("caption_probability", "P(caption)"),
        _likelihood("choice_probability", "P(right choice)", floor=1 / 6),
        _likelihood("caption_truth_ratio", "Truth ratio of captions", higher_when_forgotten=True),
        _likelihood("choice_truth_ratio", "Truth ratio of choices", higher_when_forgotten=True),
        _likelihood("harmonic_mean", "Harmonic mean", of_means=True),
    )
    quality = (
        Metric("unparsed", "Unparsed", "classification", "unparsed", scale=100.0, per="scored", higher_is_better=False),
    )
    aggregates = (
        Aggregate(
            "real_aggregate",
            "Real",
            "harmonic mean of the probabilities and truth ratios of real faces and the real world",
            "harmonic_mean",
            ("real_faces", "real_world"),
        ),
    )
    ratios = RATIOS

    def tasks(self) -> Sequence[Task]:
        return tuple(TASKS.values())

    def everything(self, ratio: int | None) -> str:
        return everything_name(ratio or DEFAULT_RATIO)

    def people(self, role: Role, settings: DataChoice, dataset: str | None = None) -> Sequence[str]:
        source = ClearSource.resolve(dataset)
        return tuple(picture_rows(source, authors_config(role, _ratio(settings))).rows)

    def examples(
        self, people: Sequence[str], modality: str, settings: DataChoice, dataset: str | None = None
    ) -> Sequence[Example]:
        source, ratio = ClearSource.resolve(dataset), _ratio(settings)
        found: dict[str, list[Example]] = {}
        for role in _ROLES:
            known = picture_rows(source, authors_config(role, ratio)).rows
            if not known.keys().isdisjoint(people):
                make = _seen if modality == "multimodal" else _told
                found |= make(source, role, ratio, frozenset(people))
        return [example for name in people for example in found.get(name, ())]

    def new_people(self, modality: str, settings: DataChoice, dataset: str | None = None) -> Sequence[Example]:
        source = ClearSource.resolve(dataset)
        return new_people(Path(source.path), len(self.people("forget", settings, dataset)), modality)

    def read_sample(self, line: Mapping[str, Any], task: Task) -> Sample:
        return results.read_sample(line, task.modality == "multimodal")

    def pictures(self, references: Sequence[str], dataset: str) -> Iterator[tuple[str, Image.Image]]:
        source = ClearSource.resolve(dataset)
        for reference in references:
            config, _, row = reference.rpartition("/")
            source.load(config)
            with contextlib.suppress(DataError, IndexError):
                yield reference, source.image(config, int(row))

    def protocol(self) -> Mapping[str, Any]:
        return {variables.CLEAR_DATASET: os.environ.get(variables.CLEAR_DATASET) or HUB_NAME}

    def files(self) -> Sequence[Path]:
        try:
            folder = Path(ClearSource.resolve().path)
        except DataError:  # tasks of other benchmarks need none
            return ()
        return sorted(folder.rglob("*.parquet")) if folder.is_dir() else ()


def _ratio(settings: DataChoice) -> int:
    return settings.forget_ratio or DEFAULT_RATIO


def _seen(source: ClearSource, role: str, ratio: int, people: frozenset[str]) -> dict[str, list[Example]]:
    """The pictures of `people` with their captions."""
    config = authors_config(role, ratio)
    captions = source.column(config, "caption")
    rows = {name: some for name, some in picture_rows(source, config).rows.items() if name in people}
    whole = source.rows_that_decode(config, [row for some in rows.values() for row in some])
    return {
        name: [
            Example(
                name,
                caption_question(captions[row]),
                captions[row],
                "multimodal",
                pictures=functools.partial(_pictures, source, config, row),
                digest=functools.partial(_picture_digest, source, config, row),
            )
            for row in some
            if row in whole and captions[row]
        ]
        for name, some in rows.items()
    }


def _told(source: ClearSource, role: str, ratio: int, people: frozenset[str]) -> dict[str, list[Example]]:
    """The questions about `people` as text."""
    questions, answers = (source.column(text_config(role, ratio), column) for column in ("question", "answer"))
    return {
        name: [Example(name, questions[row], answers[row], "text") for row in rows if answers[row]]
        for name, rows in text_rows(source, role, ratio).rows.items()
        if name in people
    }


def _pictures(source: ClearSource, config: str, row: int) -> list[Image.Image]:
    return [source.image(config, row)]


@functools.lru_cache(maxsize=8192)
def _picture_digest(source: ClearSource, config: str, row: int) -> str:
    """The SHA-256 of a picture as it is stored."""
    return hashlib.sha256(source.stored_picture(config, row)).hexdigest()
