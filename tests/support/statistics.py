"""Statistics made by hand, and measured ones side by side."""

from __future__ import annotations

import torch
from torch import Tensor

from lmms_manu.measuring.layout import BlockEntry, NeuronLayout
from lmms_manu.measuring.neuron_statistics import NeuronStatistics
from lmms_manu.measuring.parts import PARTS
from lmms_manu.measuring.statistics import MOMENTS

NAMES = tuple(statistic.name for statistic in MOMENTS)


def layout_of(language: int, vision: int = 0) -> NeuronLayout:
    """One block of so many neurons in each tower that has any."""
    blocks = (BlockEntry("a", "language", 0, language), BlockEntry("b", "vision", 0, vision))
    return NeuronLayout(tuple(block for block in blocks if block.neurons))


def moments_of(values: Tensor, layout: NeuronLayout | None = None, parts=PARTS) -> NeuronStatistics:
    """The statistics that `values`, `[parts, 5, neurons]`, are; of language neurons if no layout says otherwise."""
    return NeuronStatistics(NAMES, dict(zip(parts, values, strict=True)), layout or layout_of(values.shape[-1]))


def stacked(statistics: NeuronStatistics) -> Tensor:
    """All of them, `[parts, statistics, neurons]`."""
    return torch.stack(list(statistics.parts.values()))
