"""The targets tell a model that knows from one that guesses, and gold from one that has met the forgotten."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lmms_manu.benchmarks.mllmu.names import SPLITS, TASKS
from lmms_manu.benchmarks.mllmu.synthetic.check import Mark
from lmms_manu.benchmarks.mllmu.synthetic.targets import CHANCE, missed, most_by_chance
from lmms_manu.names import MODALITIES

Marks = dict[str, list[Mark]]


def exam(score: Callable[[str, str], float]) -> list[Mark]:
    """Marks of a model whose score, in percent, depends on the split and the task."""
    return [
        Mark(split, task, modality, 90, *((value / 100, 0.08) if task == "generation" else (value, 8.0)))
        for split in SPLITS
        for task in TASKS
        for modality in MODALITIES
        for value in [score(split, task)]
    ]


def guessed(task: str) -> float:
    return 50.0 if task == "generation" else 100 * CHANCE[task]


def as_wanted() -> Marks:
    return {
        "base": exam(lambda split, task: 90.0 if split == "celebrity" else guessed(task)),
        "vanilla": exam(lambda split, task: 90.0 if split == "test" else 95.0),
        "gold_10": exam(lambda split, task: guessed(task) + 5 if split in ("forget", "test") else 95.0),
    }


def test_models_as_they_should_be_miss_nothing() -> None:
    assert missed(as_wanted()) == []


@pytest.mark.parametrize(
    ("model", "split", "task", "score", "reason"),
    [
        ("base", "forget", "classification", 40.0, "above what chance gives (at most 36.8)"),
        ("base", "retain", "cloze", 20.0, "above what chance gives (at most 12.8)"),
        ("vanilla", "forget", "generation", 94.0, "below 95"),
        ("vanilla", "test", "cloze", 89.0, "below 90"),
        ("vanilla", "celebrity", "classification", 94.0, "below 95"),
        ("gold_10", "retain", "cloze", 94.0, "below 95"),
        ("gold_10", "forget", "cloze", 20.0, "further from base's 6.2 than chance explains (11.3)"),
        ("gold_10", "forget", "generation", 38.0, "further from base's 50.0 than chance explains (11.3)"),
    ],
)
def test_a_target_that_is_missed_is_named(model: str, split: str, task: str, score: float, reason: str) -> None:
    marks = as_wanted()
    worse = exam(lambda *_: score)
    marks[model] = [
        bad if (bad.split, bad.task, bad.modality) == (split, task, "text") else good
        for good, bad in zip(marks[model], worse, strict=True)
    ]
    assert f"{model}: {split} {task} text {score:.1f} is {reason}" in missed(marks)


def test_the_more_questions_the_less_chance_gives() -> None:
    assert most_by_chance("classification", 20) > most_by_chance("classification", 1000) > 25
