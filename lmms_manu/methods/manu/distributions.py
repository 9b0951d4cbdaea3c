"""How the neurons' mean activations are distributed (the paper's figure 6), as few numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.sums import MODALITIES, SETS

_BINS_PER_DECADE = 10
_MOST_BINS = 6 * _BINS_PER_DECADE


@dataclass(frozen=True)
class Distribution:
    """How many neurons of a tower have which mean |z|, on each part of the data that was measured.

    Args:
        edges: of the bins, rising, one more than there are bins; those of any two models lie on one logarithmic grid.
        neurons: by set and modality, such as `forget/text`, the number of neurons in each bin.
        pruned: the same of those that are pruned.
    """

    edges: tuple[float, ...]
    neurons: Mapping[str, tuple[int, ...]]
    pruned: Mapping[str, tuple[int, ...]]

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON gives them back."""
        return {
            "edges": list(self.edges),
            "neurons": {part: list(counts) for part, counts in self.neurons.items()},
            "pruned": {part: list(counts) for part, counts in self.pruned.items()},
        }


def distributions(layout: NeuronLayout, sums: Tensor, marked: Tensor) -> dict[str, Distribution]:
    """The distribution of each tower that has a neuron that ever fired.

    Neurons that are silent on a part, or more than six decades below the highest mean, are in none of its bins.

    Args:
        layout: which neuron is which.
        sums: `[2, 2, 5, neurons]`.
        marked: the neurons that are pruned, `[neurons]`, bool.
    """
    count, absolute = sums[..., 0, :], sums[..., 1, :]
    # Single precision is enough for a bin, and faster.
    places = (absolute / count.clamp(min=1)).float().log10_().mul_(_BINS_PER_DECADE).floor_()
    found = {}
    for tower, inside in layout.towers.items():
        own = places[..., inside]
        last = float(own.max())
        if last == -math.inf:
            continue
        # Number 0 takes what lies below the bins.
        numbers = own.clamp_(min=last - _MOST_BINS).sub_(last - _MOST_BINS).short()
        measured = count[..., inside].any(-1)
        parts = {
            f"{group}/{modality}": (s, m)
            for s, group in enumerate(SETS)
            for m, modality in enumerate(MODALITIES)
            if measured[s, m]
        }
        every, pruned = _histograms(numbers), _histograms(numbers[..., marked[inside]])
        empty = int(every.any(0).any(0).nonzero()[0])
        grid = range(int(last) + 1 - _MOST_BINS + empty, int(last) + 2)
        found[tower] = Distribution(
            edges=tuple(float(f"{10 ** (place / _BINS_PER_DECADE):.6g}") for place in grid),
            neurons={part: tuple(every[place][empty:].tolist()) for part, place in parts.items()},
            pruned={part: tuple(pruned[place][empty:].tolist()) for part, place in parts.items()},
        )
    return found


def _histograms(numbers: Tensor) -> Tensor:
    """How often each number but 0 occurs in each part of `[2, 2, neurons]`: `[2, 2, bins]`, counted all at once."""
    width = _MOST_BINS + 1
    firsts = width * torch.arange(numbers.shape[:-1].numel(), dtype=numbers.dtype).view(*numbers.shape[:-1], 1)
    counts = torch.bincount((numbers + firsts).flatten(), minlength=width * firsts.numel())
    return counts.view(*numbers.shape[:-1], width)[..., 1:]
