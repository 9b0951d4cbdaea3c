"""How the neurons' mean activations are distributed (the paper's figure 6), as few numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lmms_manu.measuring.neuron_statistics import NeuronStatistics
from lmms_manu.measuring.statistics import ABSOLUTE, COUNT

_BINS_PER_DECADE = 10
_MOST_BINS = 6 * _BINS_PER_DECADE


@dataclasses.dataclass(frozen=True)
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


def distributions(statistics: NeuronStatistics, marked: Tensor) -> dict[str, Distribution]:
    """The distribution of each tower that has a neuron that ever fired.

    Args:
        statistics: of the neurons.
        marked: the neurons that are pruned, `[neurons]`, bool.
    """
    parts = list(statistics.parts)
    count = torch.stack([statistics(part, COUNT.name) for part in parts])
    absolute = torch.stack([statistics(part, ABSOLUTE.name) for part in parts])
    # Single precision is enough for a bin, and faster.
    places = (absolute / count.clamp(min=1)).float().log10_().mul_(_BINS_PER_DECADE).floor_()
    found = {}
    for tower, inside in statistics.layout.towers.items():
        last = float(places[:, inside].max())
        if last == -math.inf:
            continue
        # Bins count from 1; number 0 takes what is silent or lies below them.
        bins = places[:, inside].clamp(min=last - _MOST_BINS).sub_(last - _MOST_BINS).to(torch.int16)
        measured = [str(part) if own.any() else None for part, own in zip(parts, count[:, inside], strict=True)]
        neurons, pruned = (
            {part: counts for part, counts in zip(measured, _histograms(own).tolist(), strict=True) if part is not None}
            for own in (bins, bins[:, marked[inside]])
        )
        empty = next(place for place, counts in enumerate(zip(*neurons.values(), strict=True)) if any(counts))
        grid = range(int(last) + 1 - _MOST_BINS + empty, int(last) + 2)
        found[tower] = Distribution(
            edges=tuple(float(f"{10 ** (place / _BINS_PER_DECADE):.6g}") for place in grid),
            neurons={part: tuple(counts[empty:]) for part, counts in neurons.items()},
            pruned={part: tuple(counts[empty:]) for part, counts in pruned.items()},
        )
    return found


def _histograms(bins: Tensor) -> Tensor:
    """How often each bin but 0 occurs in each row of `[parts, neurons]`, int16: `[parts, bins]`."""
    width = _MOST_BINS + 1
    firsts = width * torch.arange(len(bins), dtype=torch.int16).unsqueeze(1)
    counts = torch.bincount((bins + firsts).flatten(), minlength=width * len(bins))
    return counts.view(len(bins), width)[:, 1:]
