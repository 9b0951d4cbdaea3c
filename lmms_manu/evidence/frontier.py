"""A method at any cost: the share forgotten as a function of what it cost, from a few strengths that were measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def share_at(costs: ArrayLike, shares: ArrayLike, cost: ArrayLike) -> Array:
    """The most that was forgotten for a cost: interpolated between strengths, from vanilla (0 for 0) on.

    A strength that costs more and forgets less than another one is no part of the frontier.

    Args:
        costs: of each strength, `[strengths]`, or in every draw of people, `[strengths, draws]`.
        shares: forgotten by each strength, alike.
        cost: at which the share is asked for: one, `[]`, or several, `[costs]`.

    Returns:
        The share at each cost, `[]` or `[costs]`; of draws `[draws]` or `[costs, draws]`. NaN where no strength costs
        so much, so that the share at this cost was not reached.
    """
    x, y, at = (np.asarray(each, dtype=np.float64) for each in (costs, shares, cost))
    drawn = x if x.ndim == 2 else x.reshape(len(x), 1)
    asked = np.broadcast_to(at.reshape(-1, 1), (at.size, drawn.shape[1]))
    return _interpolated(drawn, y.reshape(drawn.shape), asked).reshape((*at.shape, *x.shape[1:]))


def beyond(costs: ArrayLike, shares: ArrayLike, cost: ArrayLike, share: ArrayLike) -> Array:
    """How much more a model forgot than others did at the cost that it had itself.

    Beyond the dearest of the others their line goes on as steep as it is from vanilla to there, up to all of the way.

    Args:
        costs: of the others, `[others]`, or in every draw of people, `[others, draws]`.
        shares: forgotten by them, alike.
        cost: of the model, `[]` or `[draws]`.
        share: forgotten by it, alike.

    Returns:
        Its share minus that of the others' frontier, `[]` or `[draws]`.
    """
    x, y, at, own = (np.asarray(each, dtype=np.float64) for each in (costs, shares, cost, share))
    others = _interpolated(x.reshape(len(x), -1), y.reshape(len(y), -1), at.reshape(1, -1)).reshape(own.shape)
    dearest, most = (np.maximum(side.max(0), 0.0) for side in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        further = np.where(dearest > 0, np.minimum(most * at / dearest, np.maximum(most, 100.0)), most)
    return np.asarray(own - np.where(np.isnan(others), further, others))


def _interpolated(costs: Array, shares: Array, at: Array) -> Array:
    """The frontier of `[strengths, draws]` at `[costs, draws]`."""
    known = np.isfinite(costs) & np.isfinite(shares)
    vanilla = np.zeros((1, costs.shape[1]))
    x = np.concatenate([vanilla, np.where(known, costs, np.inf)])
    y = np.concatenate([vanilla, np.where(known, shares, -np.inf)])
    order = np.lexsort((y, x), axis=0)
    x, y = np.take_along_axis(x, order, 0), np.maximum.accumulate(np.take_along_axis(y, order, 0))
    right = (x[None] <= at[:, None]).sum(1)
    low, high = np.maximum(right - 1, 0), np.minimum(right, len(x) - 1)
    x_low, x_high, y_low, y_high = (np.take_along_axis(side, end, 0) for side in (x, y) for end in (low, high))
    with np.errstate(invalid="ignore", divide="ignore"):
        between = y_low + (y_high - y_low) * (at - x_low) / (x_high - x_low)
    inside = (right > 0) & (right < len(x)) & np.isfinite(x_high)
    # Below the cheapest there is what it forgot; beyond the dearest nothing is known.
    return np.where(inside, between, np.where((right == 0) | (at == x_low), y_low, np.nan))
