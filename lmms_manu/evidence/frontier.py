"""A method at any cost: the share forgotten as a function of what it cost, from a few strengths that were measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def share_at(costs: ArrayLike, shares: ArrayLike, cost: float) -> NDArray[np.float64]:
    """The most that was forgotten for a cost: interpolated between strengths, from vanilla (0 for 0) on.

    A strength that costs more and forgets less than another one is no part of the frontier.

    Args:
        costs: of each strength, `[strengths]`, or in every draw of people, `[strengths, draws]`.
        shares: forgotten by each strength, alike.
        cost: at which the share is asked for.

    Returns:
        One number, `[]`, or one a draw, `[draws]`; NaN where no strength costs so much, so that the share at this cost
        was not reached.
    """
    x, y = np.asarray(costs, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if x.ndim == 1:
        return np.asarray(_share_at(x, y, cost))
    return np.asarray([_share_at(x[:, draw], y[:, draw], cost) for draw in range(x.shape[1])])


def _share_at(costs: NDArray[np.float64], shares: NDArray[np.float64], cost: float) -> float:
    known = np.isfinite(costs) & np.isfinite(shares)
    x, y = np.append(costs[known], 0.0), np.append(shares[known], 0.0)
    order = np.lexsort((y, x))
    return float(np.interp(cost, x[order], np.maximum.accumulate(y[order]), right=np.nan))
