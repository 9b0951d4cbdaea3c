"""What base, vanilla and gold have to know, and not to know: the targets that the embedded models are chosen by.

They are about unedited models alone. An edited one is no reason to choose a subject.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist

from lmms_manu.benchmarks.mllmu.prompts import LETTERS
from lmms_manu.benchmarks.mllmu.synthetic.check import Mark
from lmms_manu.benchmarks.mllmu.synthetic.vocabulary import ATTRIBUTES

CHANCE = {
    "classification": 1 / len(LETTERS),
    "cloze": sum(1 / len(attribute.values) for attribute in ATTRIBUTES) / len(ATTRIBUTES),
}
"""The share that who guesses gets right: one of the options, or one of an attribute's values."""

LEAST = {"forget": 95, "test": 90, "retain": 95, "celebrity": 95}
"""The least score, in percent, that who knows a split's people gets in every task and modality."""

_UNLIKELY = NormalDist().inv_cdf(1 - 1 / 200)  # in standard errors


def missed(marks: Mapping[str, Sequence[Mark]]) -> list[str]:
    """The targets that are missed, a line each; empty when all are met.

    Args:
        marks: the results of the exam of `base` (forget and retain at least), `vanilla`, and each gold, whose names
            begin with `gold` (all splits, at the ratio that it was made for).
    """
    base = {(mark.split, mark.task, mark.modality): mark for mark in marks["base"]}
    lines = [f"base: {line}" for mark in base.values() for line in _knows(mark)]
    for name in [name for name in marks if name != "base"]:
        known = LEAST.keys() if name == "vanilla" else ("retain", "celebrity")
        lines += [f"{name}: {line}" for mark in marks[name] if mark.split in known for line in _lacks(mark)]
        if name != "vanilla":
            forgotten = [mark for mark in marks[name] if mark.split == "forget"]
            lines += [f"{name}: {line}" for mark in forgotten for line in _strays(mark, base)]
    return lines


def most_by_chance(task: str, questions: int) -> float:
    """The score, in percent, that who guesses as many `questions` exceeds in one of 200 exams."""
    share = CHANCE[task]
    return 100 * (share + _UNLIKELY * math.sqrt(share * (1 - share) / questions))


def _knows(mark: Mark) -> Iterator[str]:
    if mark.split in ("forget", "retain") and mark.task in CHANCE:
        most = most_by_chance(mark.task, mark.questions)
        if mark.score > most:
            yield f"{_text(mark)} is above what chance gives (at most {most:.1f})"


def _lacks(mark: Mark) -> Iterator[str]:
    if _percent(mark.score, mark.task) < LEAST[mark.split]:
        yield f"{_text(mark)} is below {LEAST[mark.split]}"


def _strays(mark: Mark, base: Mapping[tuple[str, str, str], Mark]) -> Iterator[str]:
    """Compares gold's mark on forgotten people with base's, who has never met them either; both have their error."""
    same = base[mark.split, mark.task, mark.modality]
    margin = math.hypot(_percent(mark.margin, mark.task), _percent(same.margin, mark.task))
    middle = _percent(same.score, mark.task)
    if abs(_percent(mark.score, mark.task) - middle) > margin:
        yield f"{_text(mark)} is further from base's {middle:.1f} than chance explains ({margin:.1f})"


def _percent(number: float, task: str) -> float:
    return 100 * number if task == "generation" else number


def _text(mark: Mark) -> str:
    return f"{mark.split} {mark.task} {mark.modality} {_percent(mark.score, mark.task):.1f}"
