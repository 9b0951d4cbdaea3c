"""Which neurons are pruned, given their scores: pure functions of tensors."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor


def neurons_to_prune(neurons: int, prune_rate: float) -> int:
    """floor(alpha / 100 x N), exact for rates that no binary number equals.

    Args:
        neurons: N.
        prune_rate: the paper's alpha, in percent.
    """
    return int(Fraction(str(prune_rate)) * neurons / 100)


def select(scores: Tensor, count: int, chosen: Tensor | None = None) -> Tensor:
    """Marks the neurons with the highest scores.

    Args:
        scores: `[neurons]`, finite. Ties go to the lower index, that is, to the lower layer and then to the lower
            index in it, where neurons are in the order of their blocks.
        count: how many to mark, at most all.
        chosen: neurons that are marked already, `[neurons]` bool; they count, and stay.

    Returns:
        `[neurons]`, bool, with `count` marked (more only where `chosen` has more).
    """
    marked = torch.zeros_like(scores, dtype=torch.bool) if chosen is None else chosen
    already = int(marked.sum())
    missing = count - already
    if missing <= 0:
        return marked.clone()
    free = scores.masked_fill(marked, -torch.inf) if already else scores
    # The lowest score that is high enough is found faster than all of them are sorted.
    place = len(free) - missing
    lowest = float(np.partition(free.numpy(), place)[place])
    above = free > lowest
    tied = (free == lowest).nonzero().flatten()[: missing - int(above.sum())]
    return (marked | above).index_fill_(0, tied, True)
