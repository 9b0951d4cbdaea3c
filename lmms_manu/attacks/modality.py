"""Modality swap: what was forgotten with the picture, asked by name, and the reverse."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from lmms_manu.attacks.base import Attack, Variant
from lmms_manu.attacks.looks import Trace, is_above_zero, left, looked_at, told_apart
from lmms_manu.attacks.outcomes import (
    BEFORE,
    EDITED,
    HIDDEN,
    NOT_FOUND,
    PROBABILITY,
    SHOWS,
    VANILLA,
    Measured,
    Outcome,
    means_of_people,
    modality_of,
    person_of,
)
from lmms_manu.evidence.bootstrap import PeopleBootstrap
from lmms_manu.names import MODALITIES


class ModalitySwap(Attack):
    """The attack `modality`: what is left in each modality; the difference is the modality gap.

    It asks nothing of its own: what was read before any attack is split.
    """

    name = "modality"

    def variants(self) -> Mapping[str, Variant]:
        return {}

    def outcomes(self, measured: Measured) -> list[Outcome]:
        sides = {modality: _traces(measured, modality) for modality in MODALITIES}
        found = []
        for modality, (traces, people) in sides.items():
            name = f"{self.name}: {modality}"
            if not {VANILLA, EDITED} <= set(traces):
                found.append(Outcome(name, "nobody is asked about in this modality"))
                continue
            others = [other for other, (own, _) in sides.items() if other != modality and own.keys() == traces.keys()]
            other = sides[others[0]][0] if others and told_apart(sides[others[0]][0]) else None
            found.append(looked_at(name, traces, people, functools.partial(_verdict, other=other)))
        return found


def _verdict(here: Trace, other: Mapping[str, Trace] | None) -> str:
    """Whether more is left than in the other modality."""
    if other is None:
        return f"{SHOWS}: so much is left" if is_above_zero(here.draws) else f"{NOT_FOUND}: no more than the base rate"
    there = left(other)
    if here.draws.shape == there.draws.shape and is_above_zero(here.draws - there.draws):
        return f"{HIDDEN}: more is left than in the other modality"
    return f"{NOT_FOUND}: no more is left than in the other modality"


def _traces(measured: Measured, modality: str) -> tuple[dict[str, Trace], int]:
    """Each model's mean answer probability in a modality, and how many people it is about."""
    sides = {
        model: {place: own for place, own in found[BEFORE][PROBABILITY].items() if modality_of(place) == modality}
        for model, found in measured.readings.items()
        if BEFORE in found
    }
    people = sorted(set.intersection(*({person_of(place) for place in side} for side in sides.values())))
    if not people:
        return {}, 0
    # Whoever is asked about in both modalities is drawn alike in both.
    bootstrap = PeopleBootstrap(people)
    traces = {}
    for model, side in sides.items():
        values = means_of_people(side, bootstrap.people, [place for place in side if person_of(place) in set(people)])
        draws = bootstrap.ratio(bootstrap.people, values.tolist(), [1.0] * len(values))
        traces[model] = Trace(float(values.mean()), draws)
    return traces, len(people)
