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
_PLACES = {f"{group}/{modality}": (s, m) for s, group in enumerate(SETS) for m, modality in enumerate(MODALITIES)}


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


@dataclass(frozen=True)
class TowerLevels:
    """The bins of a tower that has a neuron that ever fired.

    Args:
        last: the place of the highest bin, in tenths of a decade from 1.
        neurons: by set and modality, for each part that was measured, the number of neurons in each bin.
    """

    last: int
    neurons: Mapping[str, list[int]]


@dataclass(frozen=True)
class Levels:
    """In which bin each neuron's mean |z| lies, whatever is pruned.

    Args:
        bins: `[2, 2, neurons]`, uint8, counted from 1; 0 for neurons that are silent on a part, or more than six
            decades below the highest mean.
        towers: what the bins of each tower are.
    """

    bins: Tensor
    towers: Mapping[str, TowerLevels]

    @classmethod
    def of(cls, layout: NeuronLayout, sums: Tensor) -> Levels:
        """The levels that `sums`, `[2, 2, 5, neurons]`, tell."""
        count, absolute = sums[..., 0, :], sums[..., 1, :]
        # Single precision is enough for a bin, and faster.
        places = (absolute / count.clamp(min=1)).float().log10_().mul_(_BINS_PER_DECADE).floor_()
        bins = torch.zeros(places.shape, dtype=torch.uint8)
        towers = {}
        for tower, inside in layout.towers.items():
            own = places[..., inside]
            last = float(own.max())
            if last == -math.inf:
                continue
            # Number 0 takes what lies below the bins.
            bins[..., inside] = own.clamp_(min=last - _MOST_BINS).sub_(last - _MOST_BINS)
            measured = count[..., inside].any(-1)
            every = _histograms(bins[..., inside])
            neurons = {part: every[place].tolist() for part, place in _PLACES.items() if measured[place]}
            towers[tower] = TowerLevels(int(last), neurons)
        return cls(bins, towers)

    def distributions(self, layout: NeuronLayout, marked: Tensor) -> dict[str, Distribution]:
        """The distribution of each tower that has a neuron that ever fired.

        Args:
            layout: which neuron is which.
            marked: the neurons that are pruned, `[neurons]`, bool.
        """
        found = {}
        for tower, levels in self.towers.items():
            inside = layout.towers[tower]
            pruned = _histograms(self.bins[..., inside][..., marked[inside]])
            of_bins = zip(*levels.neurons.values(), strict=True)
            empty = next(place for place, of_parts in enumerate(of_bins) if any(of_parts))
            grid = range(levels.last + 1 - _MOST_BINS + empty, levels.last + 2)
            found[tower] = Distribution(
                edges=tuple(float(f"{10 ** (place / _BINS_PER_DECADE):.6g}") for place in grid),
                neurons={part: tuple(counts[empty:]) for part, counts in levels.neurons.items()},
                pruned={part: tuple(pruned[_PLACES[part]][empty:].tolist()) for part in levels.neurons},
            )
        return found


def _histograms(bins: Tensor) -> Tensor:
    """How often each bin but 0 occurs in each part of `[2, 2, neurons]`: `[2, 2, bins]`, counted all at once."""
    width = _MOST_BINS + 1
    firsts = width * torch.arange(bins.shape[:-1].numel(), dtype=torch.int16).view(*bins.shape[:-1], 1)
    counts = torch.bincount((bins + firsts).flatten(), minlength=width * firsts.numel())
    return counts.view(*bins.shape[:-1], width)[..., 1:]
