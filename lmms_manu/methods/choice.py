"""Which strength of a method to take: the one that forgets most within a budget, on people whom nobody reports.

Pure arithmetic. A quarter of the people to forget and a quarter of those to retain are for choosing; a number that is
reported beside such a choice leaves them out, or it would be of the people whom the strength suits best.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from lmms_manu.benchmarks.draw_by_rule import first_by_rule

SELECTION = "selection"
"""The entry of a record's details that says how a strength was chosen, and on whom."""

_ONE_IN = 4


@dataclasses.dataclass(frozen=True)
class Trial:
    """What one strength did to the validation people.

    Args:
        strength: its value.
        forgotten: points of 100 lost on those to forget.
        cost: points of 100 lost on those to retain.
    """

    strength: float
    forgotten: float
    cost: float


def validation_people(people: Iterable[str], seed: int = 0) -> frozenset[str]:
    """A quarter of the people, at least one and never all, drawn by a seed.

    Args:
        people: the IDs of a set, such as those to forget.
        seed: of the draw.

    Raises:
        ValueError: there are fewer than two, so that nobody would be left to report.
    """
    known = set(people)
    if len(known) < 2:
        raise ValueError(f"{len(known)} people cannot be divided into some to choose on and some to report.")
    return frozenset(first_by_rule(known, max(1, len(known) // _ONE_IN), seed, "validation"))


def best_within(trials: Sequence[Trial], budget: float) -> Trial | None:
    """The trial that forgot most of those that cost no more than the budget; None if all cost more.

    Of equal ones the cheapest, and of these the first.

    Args:
        trials: the strengths, the mildest first.
        budget: points of 100 that may be lost on those to retain.
    """
    within = [trial for trial in trials if trial.cost <= budget]
    return max(within, key=lambda trial: (trial.forgotten, -trial.cost), default=None)


def selection_of(
    axis: str, trials: Sequence[Trial], chosen: Trial | None, budget: float, people: Iterable[str], how: str
) -> dict[str, Any]:
    """A choice as JSON holds it, for records.

    Args:
        axis: the setting that is the method's strength.
        trials: what was tried.
        chosen: which of them was taken.
        budget: points that it might cost.
        people: the validation people.
        how: what was measured, in words.
    """
    return {
        "setting": axis,
        "budget": budget,
        "measured": how,
        "trials": [dataclasses.asdict(trial) for trial in trials],
        "chosen": None if chosen is None else chosen.strength,
        "people": sorted(people),
    }
