"""What a look at a model shows, where nothing is changed: what is left is (edited - gold) / (vanilla - gold)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lmms_manu.attacks.outcomes import (
    CONTROL,
    EDITED,
    GOLD,
    HIDDEN,
    NO_GOLD,
    NOT_FOUND,
    SHOWS,
    UNDEFINED,
    VANILLA,
    Outcome,
    Share,
    means_of_people,
    person_of,
    too_few,
)
from lmms_manu.evidence.bootstrap import Draws, PeopleBootstrap, interval
from lmms_manu.evidence.validity import MINIMUM_PEOPLE


@dataclasses.dataclass(frozen=True)
class Trace:
    """A number that one look gives of a model, and the same in every draw of people."""

    value: float
    draws: Draws


def told_apart(traces: Mapping[str, Trace], floor: float | None = None) -> bool:
    """Whether vanilla shows more than gold, or than a model that knows nobody would."""
    bounds = interval(traces[VANILLA].draws - _reference(traces, floor).draws)
    return bounds is not None and bounds[0] > 0


def left(traces: Mapping[str, Trace], model: str = EDITED, floor: float | None = None) -> Trace:
    """What a look at a model still shows, between gold (0) and vanilla (1).

    Args:
        traces: by model, vanilla among them.
        model: the one in question.
        floor: what a model that knows nobody shows, where that is known without gold.
    """
    gold, vanilla, own = _reference(traces, floor), traces[VANILLA], traces[model]
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = (own.draws - gold.draws) / (vanilla.draws - gold.draws)
    value = (own.value - gold.value) / (vanilla.value - gold.value)
    return Trace(value, np.where(np.isfinite(draws), draws, np.nan))


def looked_at(
    variant: str,
    traces: Mapping[str, Trace],
    people: int,
    verdict: Callable[[Trace], str],
    floor: float | None = None,
) -> Outcome:
    """What a look at the edited model still shows.

    Args:
        variant: the attack's name and the look's.
        traces: by model, vanilla and the edited one among them.
        people: how many people they are about.
        verdict: the words for what is left.
        floor: as in `left`.
    """
    read = {name: trace.value for name, trace in traces.items()}
    if people < MINIMUM_PEOPLE:
        return Outcome(variant, too_few(people), read)
    if not told_apart(traces, floor):
        reference = GOLD if GOLD in traces else "guessing"
        return Outcome(variant, f"it cannot tell: vanilla shows no more than {reference} does", read)
    found = left(traces, floor=floor)
    said = verdict(found) if GOLD in traces else f"{verdict(found)} ({NO_GOLD})"
    control = _shown(left(traces, CONTROL, floor)) if CONTROL in traces else None
    return Outcome(variant, said, read, _shown(found), control=control)


def is_above_zero(draws: Draws) -> bool:
    """Whether the 95 % interval of draws lies above zero."""
    bounds = interval(draws, undefined=UNDEFINED)
    return bounds is not None and bounds[0] > 0


def left_elsewhere(here: Trace, other: Mapping[str, Trace] | None, where: str) -> str:
    """The words for what is left of something that is asked in another way too.

    Args:
        here: what is left in this way.
        other: by model, what the other way shows; None where it cannot tell.
        where: the other way in words, such as `in the other modality`.
    """
    if other is None:
        return f"{SHOWS}: so much is left" if is_above_zero(here.draws) else f"{NOT_FOUND}: no more than the base rate"
    there = left(other)
    if here.draws.shape == there.draws.shape and is_above_zero(here.draws - there.draws):
        return f"{HIDDEN}: more is left than {where}"
    return f"{NOT_FOUND}: no more is left than {where}"


def traces_of(sides: Mapping[str, Mapping[str, Sequence[float]]]) -> tuple[dict[str, Trace], int]:
    """The mean over people of what was read of each model, and how many people it is about.

    Args:
        sides: by model, by modality and person (`text/12`), a value for each question.

    Returns:
        The traces, of those whom all models were asked about; none where there is nobody.
    """
    people = sorted(set.intersection(*({person_of(place) for place in side} for side in sides.values())))
    if not people:
        return {}, 0
    # Whoever is asked about in two ways is drawn alike in both.
    bootstrap = PeopleBootstrap(people)
    traces = {}
    for model, side in sides.items():
        values = means_of_people(side, bootstrap.people, [place for place in side if person_of(place) in set(people)])
        draws = bootstrap.ratio(bootstrap.people, values.tolist(), [1.0] * len(values))
        traces[model] = Trace(float(values.mean()), draws)
    return traces, len(people)


def _reference(traces: Mapping[str, Trace], floor: float | None) -> Trace:
    known = floor or 0.0
    return traces.get(GOLD, Trace(known, np.full_like(traces[VANILLA].draws, known)))


def _shown(trace: Trace) -> Share:
    return Share(trace.value, interval(trace.draws, undefined=UNDEFINED))
