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
    if x.ndim == 1:
        return _share_at(x, y, at)
    return np.stack([_share_at(x[:, draw], y[:, draw], at) for draw in range(x.shape[1])], axis=-1)


def _share_at(costs: Array, shares: Array, at: Array) -> Array:
    known = np.isfinite(costs) & np.isfinite(shares)
    x, y = np.append(costs[known], 0.0), np.append(shares[known], 0.0)
    order = np.lexsort((y, x))
    return np.asarray(np.interp(at, x[order], np.maximum.accumulate(y[order]), right=np.nan))
