"""Forget quality: could a run's truth ratios be drawn from gold's? Never against anything but gold."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from lmms_manu.benchmarks.registry import get_benchmark, tasks
from lmms_manu.benchmarks.sample import Sample
from lmms_manu.evidence.validity import MINIMUM_PEOPLE
from lmms_manu.likelihood_metrics import LOG_TRUTH_RATIO, KsTest, forget_quality
from lmms_manu.report.runs import Run


@dataclasses.dataclass(frozen=True)
class QualityCell:
    """A run's forget quality on a split in a modality.

    Args:
        split: the split's title.
        modality: of the questions.
        test: against gold; None where it cannot be made.
        reason: why it cannot.
    """

    split: str
    modality: str
    test: KsTest | None
    reason: str = ""


def against_gold(run: Run, gold: Run, benchmark: str, ratio: int | None) -> tuple[QualityCell, ...]:
    """The tests of a run on everything that was to be forgotten, as far as both were asked for likelihoods there."""
    titles = {split.name: split.title for split in get_benchmark(benchmark).splits if split.is_forgotten}
    asked = [
        task
        for task in tasks().values()
        if task.benchmark == benchmark and task.split in titles and task.ratio in (None, ratio)
    ]
    found = []
    for task in asked:
        mine, theirs = (_truth_ratios(side.samples(task.name) or ()) for side in (run, gold))
        if mine and theirs:
            found.append(_tested(titles[task.split], task.modality, mine, theirs))
    return tuple(found)


def _tested(split: str, modality: str, mine: dict[str, list[float]], theirs: dict[str, list[float]]) -> QualityCell:
    if len(mine) < MINIMUM_PEOPLE:
        return QualityCell(split, modality, None, f"{len(mine)} people are too few")
    try:
        return QualityCell(split, modality, forget_quality(mine, theirs))
    except ValueError as error:
        return QualityCell(split, modality, None, str(error))


def _truth_ratios(samples: Iterable[Sample]) -> dict[str, list[float]]:
    """The logarithms of the truth ratios, by person, in the order of the questions."""
    found: dict[str, list[float]] = {}
    for sample in sorted(samples, key=lambda sample: sample.key):
        if LOG_TRUTH_RATIO in sample.scores:
            found.setdefault(sample.person, []).append(sample.scores[LOG_TRUTH_RATIO][0])
    return found
