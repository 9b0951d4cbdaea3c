"""Modality swap: what was forgotten with the picture, asked by name, and the reverse."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from lmms_manu.attacks.base import Attack, Variant
from lmms_manu.attacks.looks import Trace, left_elsewhere, looked_at, told_apart, traces_of
from lmms_manu.attacks.outcomes import BEFORE, EDITED, PROBABILITY, VANILLA, Measured, Outcome, modality_of
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
            said = functools.partial(left_elsewhere, other=other, where="in the other modality")
            found.append(looked_at(name, traces, people, said))
        return found


def _traces(measured: Measured, modality: str) -> tuple[dict[str, Trace], int]:
    """Each model's mean answer probability in a modality, and how many people it is about."""
    return traces_of(
        {
            model: {place: own for place, own in found[BEFORE][PROBABILITY].items() if modality_of(place) == modality}
            for model, found in measured.readings.items()
            if BEFORE in found
        }
    )
