"""The gates of knowledge vector weakening (arXiv 2601.21794). Pure arithmetic.

A neuron's knowledge coefficient on a set is the mean of |z| over the positions that predict a token of an answer. A
neuron that those to forget call on more than those to retain has the log ratio of the two as its excess, and its value
vector, a column of the down projection, is multiplied by exp(-strength * excess).
"""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-12


def coefficients(absolute: Tensor, count: Tensor) -> Tensor:
    """The mean of |z| from its sum and the number of observations, all `[neurons]`; 0 where there is none."""
    return absolute / count.clamp(min=1)


def excess(forget: Tensor, retain: Tensor) -> Tensor:
    """max(0, log(forget + e) - log(retain + e)) of coefficients `[neurons]`, float64."""
    return ((forget.double() + EPSILON).log() - (retain.double() + EPSILON).log()).clamp(min=0)


def gates(total: Tensor, strength: float) -> Tensor:
    """exp(-strength * excess) of the excess, or of its sum over samples, `[neurons]`, float32.

    Type: bfloat16 has no number between 1 and 1 - 2^-8, so that a gate in it would do nothing or too much.
    """
    return torch.exp(-strength * total.double()).float()


def dealt(values: Tensor, seed: int) -> Tensor:
    """The same values at other places, drawn by `seed`, `[neurons]`."""
    return values[torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))]


def weakened(columns: Tensor, gate: Tensor) -> Tensor:
    """Columns of a down projection `[neurons, out]` times their gates `[neurons]`, rounded once to their own type."""
    return (columns.float() * gate.float().unsqueeze(1)).to(columns.dtype)
