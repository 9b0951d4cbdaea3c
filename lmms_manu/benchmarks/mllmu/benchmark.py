"""MLLMU-Bench as the registry knows it: its splits, metrics and tasks, and the people whom a model learned about."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lmms_manu import variables
from lmms_manu.benchmarks.base import Benchmark, DataChoice, Metric, Role, Split, Task
from lmms_manu.benchmarks.example import Example
from lmms_manu.benchmarks.mllmu import likelihoods, results
from lmms_manu.benchmarks.mllmu.choices import choices
from lmms_manu.benchmarks.mllmu.exemplars import ProtocolSettings
from lmms_manu.benchmarks.mllmu.family import announce_family
from lmms_manu.benchmarks.mllmu.fine_tuning_samples import FineTuningSample, forget_ids, load_samples, retain_ids
from lmms_manu.benchmarks.mllmu.judge_settings import JudgeSettings
from lmms_manu.benchmarks.mllmu.names import (
    DEFAULT_RATIO,
    FINE_TUNING_SET,
    LIKELIHOOD,
    RATIOS,
    TEST_SET,
    everything_name,
    leaves,
    likelihood_leaves,
)
from lmms_manu.benchmarks.mllmu.people import people_of
from lmms_manu.benchmarks.mllmu.source import HUB_NAME, DatasetSource
from lmms_manu.benchmarks.mllmu.synthetic.new_people import new_people
from lmms_manu.benchmarks.sample import Sample
from lmms_manu.errors import DataError


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


class Mllmu(Benchmark):
    """The benchmark of arXiv 2410.22108: fictitious people to forget and to retain, and real celebrities."""

    name = "mllmu"
    title = "MLLMU-Bench"
    splits = (
        Split("forget", "Forget set", "forget"),
        Split("test", "Test set", "forget"),
        Split("retain", "Retain set", "retain"),
        Split("celebrity", "Celebrity set", "control"),
    )
    metrics = (
        Metric(
            "classification",
            "Classification",
            "classification",
            "classification_accuracy",
            floor=25.0,
            is_right_or_wrong=True,
        ),
        Metric("rouge_l", "ROUGE-L", "generation", "rouge_l", digits=3, unit="", maximum=1.0),
        Metric("factuality", "Factuality", "generation", "factuality", unit="", floor=1.0, maximum=10.0),
        Metric("cloze", "Cloze", "cloze", "cloze_accuracy", is_right_or_wrong=True),
        Metric("bleu", "BLEU", "generation", "bleu", digits=3, unit="", maximum=1.0, in_rates=False),
        _likelihood("answer_probability", "P(answer)"),
        _likelihood("cloze_probability", "P(cloze)"),
        _likelihood("truth_ratio", "Truth ratio", higher_when_forgotten=True),
        _likelihood("prob_mean", "P(right option)", floor=0.25),
        _likelihood("exact_memorisation", "Exact memorisation"),
        _likelihood("extraction_strength", "Extraction strength"),
    )
    quality = (
        Metric("unparsed", "Unparsed", "classification", "unparsed", scale=100.0, per="scored", higher_is_better=False),
        Metric(
            "not_judged",
            "Not judged",
            "generation",
            "not_judged",
            scale=100.0,
            per="scored",
            proof="factuality",
            higher_is_better=False,
        ),
    )
    ratios = RATIOS

    def tasks(self) -> Sequence[Task]:
        return [
            Task(
                self.name,
                leaf.name,
                leaf.split,
                leaf.task,
                leaf.modality,
                leaf.ratio,
                leaf.group,
                reads_likelihoods=leaf.task == LIKELIHOOD,
            )
            for leaf in (*leaves(), *likelihood_leaves())
        ]

    def everything(self, ratio: int | None) -> str:
        return everything_name(ratio or DEFAULT_RATIO)

    def people(self, role: Role, settings: DataChoice, dataset: str | None = None) -> Sequence[str]:
        source, ratio = DatasetSource.resolve(dataset), settings.forget_ratio or DEFAULT_RATIO
        return forget_ids(source, ratio) if role == "forget" else retain_ids(source, ratio)

    def examples(
        self, people: Sequence[str], modality: str, settings: DataChoice, dataset: str | None = None
    ) -> Sequence[Example]:
        return [_example(sample) for sample in load_samples(DatasetSource.resolve(dataset), people, modality)]

    def another_picture(self, person: str, dataset: str | None = None) -> Callable[[], Image.Image] | None:
        source = DatasetSource.resolve(dataset)
        row = people_of(source, TEST_SET).rows.get(person)
        if row is None or not source.decodes(TEST_SET, row):
            return None
        return functools.partial(source.image, TEST_SET, row)

    def new_people(self, modality: str, settings: DataChoice, dataset: str | None = None) -> Sequence[Example]:
        source = DatasetSource.resolve(dataset)
        number = len(forget_ids(source, settings.forget_ratio or DEFAULT_RATIO))
        return new_people(Path(source.path), number, modality, source.image(FINE_TUNING_SET, 0).width)

    def choices(
        self, people: Sequence[str], modality: str, settings: DataChoice, dataset: str | None = None, *, turned: bool
    ) -> Sequence[Example]:
        ratio = settings.forget_ratio or DEFAULT_RATIO
        return choices(DatasetSource.resolve(dataset), ratio, modality, people, turned=turned)

    def read_sample(self, line: Mapping[str, Any], task: Task) -> Sample:
        return likelihoods.read_sample(line) if task.reads_likelihoods else results.read_sample(line)

    def floor(self, metric: Metric, asked: Sequence[Sample], others: Sequence[Sample]) -> Sequence[float] | None:
        return results.scores_of_others(metric.name, asked, others)

    def conditions(self, task: Task, recorded: Mapping[str, Any]) -> Mapping[str, str]:
        exemplars = ", ".join(map(str, recorded.get("exemplars") or ()))
        # Both modalities of a task show the same people.
        shown = f"the {task.kind} of {task.group} was asked with different exemplars"
        found = {
            "its leaves were read from different datasets": str(recorded.get("dataset")),
            shown: exemplars or "none",
        }
        # Elsewhere the seed had nothing to choose.
        if exemplars or (task.split, task.modality) == ("test", "multimodal"):
            found["its leaves were made with different seeds"] = str(recorded.get("seed"))
        return found

    def pictures(self, references: Sequence[str], dataset: str) -> Iterator[tuple[str, Image.Image]]:
        source = DatasetSource.resolve(dataset)
        places = {reference: reference.rsplit("/", 2) for reference in references}
        for config in {config for config, _, _ in places.values()}:
            source.load(config)
        for reference, (config, row, index) in places.items():
            with contextlib.suppress(DataError, IndexError):
                yield reference, source.image(config, int(row), int(index))

    def protocol(self) -> Mapping[str, Any]:
        chosen = ProtocolSettings.from_environment()
        return {
            variables.DATASET: os.environ.get(variables.DATASET) or HUB_NAME,
            variables.EXEMPLARS: chosen.exemplars,
            variables.SEED: chosen.seed,
        }

    def files(self) -> Sequence[Path]:
        try:
            folder = Path(DatasetSource.resolve().path)
        except DataError:  # tasks of other benchmarks need none
            return ()
        return sorted(folder.rglob("*.parquet")) if folder.is_dir() else ()

    def meet(self, model_type: str | None) -> None:
        announce_family(model_type)

    def has_judge(self) -> bool:
        return JudgeSettings.from_environment() is not None


def _example(sample: FineTuningSample) -> Example:
    return Example(
        sample.person_id,
        sample.question,
        sample.answer,
        sample.modality,
        prompt=sample.released,
        pictures=sample.pictures,
        digest=functools.partial(
            _picture_digest, sample.source, sample.row if sample.modality == "multimodal" else None
        ),
    )


@functools.lru_cache(maxsize=4096)
def _picture_digest(source: DatasetSource, row: int | None) -> str:
    """The SHA-256 of a person's picture as it is stored; empty without one."""
    return "" if row is None else hashlib.sha256(source.stored_picture(FINE_TUNING_SET, row)).hexdigest()
