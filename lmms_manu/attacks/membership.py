"""Membership: are the forgotten people told apart from new ones, of the same hand, that no model has met?

For each score the AUC of those to forget against the new people, in each modality: .5 for a model that never met
either. The scores of those to forget come from the passes that were made before any attack.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lmms_manu.attacks.base import Attack, InapplicableError, Target, Variant
from lmms_manu.attacks.looks import Trace, is_above_zero, looked_at
from lmms_manu.attacks.outcomes import (
    BEFORE,
    EDITED,
    NOT_FOUND,
    SHOWS,
    VANILLA,
    Measured,
    Outcome,
    Reading,
    modality_of,
    person_of,
)
from lmms_manu.attacks.readings import MEMBERSHIP
from lmms_manu.benchmarks.registry import get_benchmark
from lmms_manu.evidence.bootstrap import PeopleBootstrap
from lmms_manu.likelihood_metrics import auc
from lmms_manu.methods.data import Examples, spread

_VARIANT = "new people"
_GUESSING = 0.5


class Membership(Attack):
    """The attack `membership`: loss, zlib, min-k and min-k++ of those to forget against those of new people."""

    name = "membership"
    in_full = True

    def variants(self) -> Mapping[str, Variant]:
        return {_VARIANT: _asked_about_new_people}

    def on_vanilla(self) -> Mapping[str, Variant]:
        return self.variants()

    def outcomes(self, measured: Measured) -> list[Outcome]:
        variant = f"{self.name}: {_VARIANT}"
        if measured.reading(EDITED, variant) is None or measured.reading(VANILLA, variant) is None:
            return [Outcome(self.name, measured.reason(variant))]
        return [self._of(score, variant, measured) for score in MEMBERSHIP]

    def _of(self, score: str, variant: str, measured: Measured) -> Outcome:
        traces, count = {}, 0
        for model, found in measured.readings.items():
            if variant in found:
                traces[model], count = _told_apart(found[BEFORE], found[variant], score)
        return looked_at(f"{self.name}: {score}", traces, count, _verdict, floor=_GUESSING)


def _verdict(left: Trace) -> str:
    return f"{SHOWS}: they are told apart" if is_above_zero(left.draws) else f"{NOT_FOUND}: no more than the base rate"


def new_people(target: Target) -> Examples:
    """Examples about people whom no model has met, by modality.

    Raises:
        InapplicableError: the benchmark has none.
    """
    settings = target.data.settings
    if settings is None:
        raise InapplicableError("nobody is known whom the model never saw: the data is the caller's own")
    benchmark = get_benchmark(settings.benchmark)
    found = {
        modality: spread(benchmark.new_people(modality, settings), settings.max_samples)
        for modality in target.data.forget
    }
    if not all(found.values()):
        raise InapplicableError(
            f"this data of {benchmark.title} has no people whom a model never saw and who come from the same hand"
        )
    return found


@contextlib.contextmanager
def _asked_about_new_people(target: Target) -> Iterator[Target]:
    yield target.about({modality: list(examples) for modality, examples in new_people(target).items()})


def _told_apart(members: Reading, others: Reading, score: str) -> tuple[Trace, int]:
    """The AUC of members against others, with both drawn, and how many of the rarer there are."""
    mine, theirs = members[score], others[score]
    one, other = (PeopleBootstrap([person_of(place) for place in side]) for side in (mine, theirs))
    values = np.mean(
        [
            _pairs(mine, theirs, one.people, other.people, modality)
            for modality in sorted({modality_of(place) for place in mine})
        ],
        axis=0,
    )
    return Trace(float(values.mean()), one.pairs(other, values)), min(len(one.people), len(other.people))


def _pairs(
    mine: Mapping[str, Sequence[float]],
    theirs: Mapping[str, Sequence[float]],
    people: Sequence[str],
    others: Sequence[str],
    modality: str,
) -> NDArray[np.float64]:
    """How often a question about one person scores above one about another, `[people, others]`."""
    return np.asarray(
        [[auc(mine[f"{modality}/{one}"], theirs[f"{modality}/{other}"]) for other in others] for one in people]
    )
