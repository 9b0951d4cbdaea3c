"""Whether a metric can tell forgetting at all: did the model know more than one that never met the people?"""

from __future__ import annotations

import dataclasses

from lmms_manu.evidence.bootstrap import Draws, interval

MINIMUM_PEOPLE = 4
"""Fewer people than these give no interval: more than 2.5 % of the draws would be of one person alone."""

Bounds = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a metric tells.

    Args:
        tells: whether numbers of the metric say something.
        reason: why they do not, in words; empty if they do.
        difference: vanilla minus the reference, in the unit of the metric; None if one of them was not measured.
        interval: its 95 % interval over people.
        is_reversed: whether the reference knows more than vanilla, with its whole interval.
    """

    tells: bool
    reason: str = ""
    difference: float | None = None
    interval: Bounds | None = None
    is_reversed: bool = False


def knows_more(
    vanilla: float | None,
    reference: float | None,
    vanilla_draws: Draws | None,
    reference_draws: Draws | None,
    people: int | None,
    name: str,
) -> Verdict:
    """Holds vanilla against gold, or against guessing, on what is to be forgotten.

    Args:
        vanilla: the vanilla model's score, more for more knowledge.
        reference: the score of gold or of guessing.
        vanilla_draws: the vanilla score in every draw of people, None without samples.
        reference_draws: the reference in the same draws.
        people: how many people the score is about.
        name: what the reference is called.
    """
    if vanilla is None or reference is None:
        return Verdict(False, f"not measured for {'vanilla' if vanilla is None else name}")
    difference = vanilla - reference
    if people is not None and people < MINIMUM_PEOPLE:
        some = "1 person is" if people == 1 else f"{people} people are"
        return Verdict(False, f"{some} too few for an interval", difference)
    if vanilla_draws is None or reference_draws is None:
        return Verdict(False, "no interval without the samples of both with the same questions", difference)
    bounds = interval(vanilla_draws - reference_draws)
    if bounds is None:
        return Verdict(False, "too few people for an interval", difference)
    if bounds[0] > 0:
        return Verdict(True, "", difference, bounds)
    if bounds[1] < 0:
        return Verdict(False, f"{name} knows more than vanilla", difference, bounds, is_reversed=True)
    return Verdict(False, f"vanilla knows no more than {name}", difference, bounds)


def can_drop(value: float | None, draws: Draws | None, floor: float) -> Verdict:
    """Whether a score on what is to be kept lies above guessing, so that a loss would show.

    Args:
        value: the vanilla model's score.
        draws: the same in every draw of people; without them the value alone decides.
        floor: what guessing scores.
    """
    if value is None:
        return Verdict(False, "not measured for vanilla")
    bounds = interval(draws - floor) if draws is not None else None
    if value > floor and (bounds is None or bounds[0] > 0):
        return Verdict(True, "", value - floor, bounds)
    return Verdict(False, "vanilla scores no more than guessing", value - floor, bounds)
