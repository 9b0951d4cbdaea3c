"""Intervals by a bootstrap over people: whole people are drawn again, with all of their questions.

Two questions on one person are not independent, so drawing questions would give intervals that are too narrow. Every
run sees the same draws of the same people, which is what makes a difference between two runs a paired one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Draws = NDArray[np.float64]
RESAMPLES = 5000
LEVEL = 0.95
UNDEFINED = 0.01


class PeopleBootstrap:
    """Draws people with replacement, the same way wherever the same people are asked.

    Args:
        people: their IDs, in any order.
        resamples: how often all people are drawn.
        seed: of the draws, combined with the people.
    """

    def __init__(self, people: Sequence[str], resamples: int = RESAMPLES, seed: int = 0) -> None:
        self.people = tuple(sorted(set(people)))
        digest = hashlib.sha256("\n".join(self.people).encode()).digest()
        generator = np.random.default_rng([seed, *digest[:8]])
        count = len(self.people)
        # How often each person was drawn: [resamples, people].
        self._weights = generator.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
        self._position = {person: index for index, person in enumerate(self.people)}

    def ratio(self, people: Sequence[str], numerators: Sequence[float], denominators: Sequence[float]) -> Draws:
        """The draws of a mean over questions.

        Args:
            people: whom each question is about, `[questions]`.
            numerators: what each question scored, `[questions]`.
            denominators: what it could have scored, `[questions]`; ones for a plain mean.

        Returns:
            sum of numerators / sum of denominators for each draw, `[resamples]`; NaN for a draw in which the
            denominators sum to zero.
        """
        positions = np.fromiter((self._position[person] for person in people), dtype=np.int64, count=len(people))
        top = np.bincount(positions, weights=np.asarray(numerators, dtype=np.float64), minlength=len(self.people))
        bottom = np.bincount(positions, weights=np.asarray(denominators, dtype=np.float64), minlength=len(self.people))
        with np.errstate(divide="ignore", invalid="ignore"):
            quotient: Draws = (self._weights @ top) / (self._weights @ bottom)
        quotient[~np.isfinite(quotient)] = np.nan
        return quotient

    def pairs(self, others: PeopleBootstrap, values: Draws) -> Draws:
        """The draws of a mean over pairs of people, where both sides are drawn, such as of an AUC.

        Args:
            others: draws of the other side, as many.
            values: what each pair has, `[people, others]`, both in the order of their `people`.

        Returns:
            The mean in each draw, `[resamples]`.
        """
        total = self._weights.sum(1) * others._weights.sum(1)
        mean: Draws = ((self._weights @ values) * others._weights).sum(1) / total
        return mean


def interval(draws: Draws | None, level: float = LEVEL, undefined: float = UNDEFINED) -> tuple[float, float] | None:
    """The percentile interval of `draws`.

    With very few people a draw may hold none of those that a task asks about; such draws are left out.

    Args:
        draws: a number in every draw of people, `[resamples]`.
        level: how much of the draws the interval holds.
        undefined: the share of the draws that may be undefined.

    Returns:
        The lower and the upper end; None without draws, or if more than `undefined` of them are.
    """
    if draws is None:
        return None
    defined = draws[np.isfinite(draws)]
    if len(defined) < (1 - undefined) * len(draws):
        return None
    tail = 50 * (1 - level)
    low, high = np.percentile(defined, [tail, 100 - tail])
    return float(low), float(high)
