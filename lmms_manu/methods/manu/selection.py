"""Which neurons are pruned, given their scores: pure functions of tensors."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor


def neurons_to_prune(neurons: int, prune_rate: float) -> int:
    """floor(alpha / 100 x N), exact for rates that no binary number equals.

    Args:
        neurons: N.
        prune_rate: the paper's alpha, in percent.
    """
    return int(Fraction(str(prune_rate)) * neurons / 100)


def counts_of_rate(groups: Tensor, prune_rate: float) -> Tensor:
    """How many neurons of each group a prune rate takes.

    Args:
        groups: the group of each neuron, `[neurons]`, counted from zero.
        prune_rate: in percent.

    Returns:
        `[groups]`, int64.
    """
    sizes = torch.bincount(groups).tolist()
    return torch.tensor([neurons_to_prune(size, prune_rate) for size in sizes], dtype=torch.int64)


def select(scores: Tensor, groups: Tensor, counts: Tensor, chosen: Tensor | None = None) -> Tensor:
    """Marks the neurons with the highest scores of each group.

    Args:
        scores: `[neurons]`, finite. Ties go to the lower index, that is, to the lower layer and then to the lower
            index in it, where neurons are in the order of their blocks.
        groups: the group of each neuron, `[neurons]`, counted from zero.
        counts: how many of each group to mark, `[groups]`.
        chosen: neurons that are marked already, `[neurons]` bool; they count, and stay.

    Returns:
        `[neurons]`, bool, with exactly `counts` marked in each group (more only where `chosen` has more).
    """
    marked = torch.zeros_like(groups, dtype=torch.bool) if chosen is None else chosen.clone()
    for group, count in enumerate(counts.tolist()):
        members = torch.nonzero(groups == group).flatten()
        free = members[~marked[members]]
        wanted = max(count - (len(members) - len(free)), 0)
        marked[free[_highest(scores[free], wanted)]] = True
    return marked


def _highest(scores: Tensor, count: int) -> Tensor:
    """The positions of the `count` highest scores, ties by position: sorting them all would take longer."""
    if count == 0:
        return torch.empty(0, dtype=torch.int64)
    lowest = torch.topk(scores, count, sorted=False).values.min()
    above = torch.nonzero(scores > lowest).flatten()
    tied = torch.nonzero(scores == lowest).flatten()
    return torch.cat([above, tied[: count - len(above)]])


def threshold(scores: Tensor, marked: Tensor) -> float | None:
    """The lowest score among the `marked` neurons; None if there are none."""
    return float(scores[marked].min()) if marked.any() else None
