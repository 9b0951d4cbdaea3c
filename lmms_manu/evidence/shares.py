"""How far a score went from the vanilla model's to that of a model that never met the people.

Every function takes numbers or arrays of draws alike. Scores are such that more means more knowledge.
"""

from __future__ import annotations

from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", float, NDArray[np.float64])


def share_forgotten(score: Number, vanilla: Number, reference: Number) -> Number:
    """The share of the way from vanilla to the reference, in percent, never more than all of it.

    What lies beyond the reference is damage and not more forgetting, so that a destroyed model gains nothing by it.

    Args:
        score: of the model in question.
        vanilla: of the model before unlearning.
        reference: of gold, which never met the people, or of guessing.

    Returns:
        0 for the vanilla model, 100 at the reference and beyond it, below 0 for a model that knows more than vanilla;
        NaN where vanilla knows no more than the reference, since there is nothing to forget.
    """
    return cast(Number, np.minimum(_way(score, vanilla, reference), 100.0))


def damage(score: Number, vanilla: Number, reference: Number) -> Number:
    """How far a score fell below the reference, in percent of the way from vanilla to it; 0 at or above it."""
    return cast(Number, np.maximum(_way(score, vanilla, reference) - 100.0, 0.0))


def distance(score: Number, gold: Number) -> Number:
    """How far a score is from gold's, on either side."""
    return cast(Number, np.abs(np.subtract(score, gold)))


def _way(score: Number, vanilla: Number, reference: Number) -> NDArray[np.float64]:
    known = np.subtract(vanilla, reference, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        way = 100.0 * np.subtract(vanilla, score) / known
    return np.where(known > 0, way, np.nan)
