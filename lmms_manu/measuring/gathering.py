"""What a measurement gathers, block by block: a few numbers per neuron, or one for each pair of a block's neurons.

A gathering knows how big its values are, how activations are added to them, and how those of two halves of the data
become one; everything above it (batches, shards, processes, resuming, the cache) knows no more of them than that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.statistics import (
    MOMENTS,
    Statistic,
    are_finite,
    keeps_bits,
    merge_into,
    no_observations,
    reduce_activations,
    reduce_groups,
)

Values = list[Tensor]
"""What was gathered: a float64 tensor for each block, on any device."""


class Gathering(Protocol):
    """What is gathered of each block."""

    @property
    def layout(self) -> NeuronLayout:
        """The blocks."""

    def about(self) -> Any:
        """What the values are, as JSON can hold it: part of the key under which they are kept."""

    def empty(self, block: int, device: torch.device | str = "cpu") -> Tensor:
        """The values of a block over no observation."""

    def add(self, values: Tensor, activations: Tensor, rows: Tensor | None, columns: slice, dtype: torch.dtype) -> None:
        """Adds observations to a block's values.

        Args:
            values: of the block, on the device of `activations` (for Metal's on the CPU); changed.
            activations: z, `[observations, columns]`.
            rows: indices of the observations that count, None for all.
            columns: which neurons of the block the columns are.
            dtype: the type to compute in.
        """

    def add_groups(self, values: Tensor, activations: Tensor, counts: Sequence[int], dtype: torch.dtype) -> bool:
        """Adds observations of all experts of a block at once, if that can be done; arguments as of `add`.

        Args:
            counts: how many of the observations, which come expert by expert, are of each expert.

        Returns:
            Whether they were added; else they are added expert by expert.
        """

    def merge(self, one: Tensor, other: Tensor) -> Tensor:
        """The values over the observations of both, of one block or joined, on the device of `other`.

        Args:
            one: stays as it is, so that an interrupt meanwhile finds it whole.
            other: may be changed, and be what is returned.
        """

    def is_finite(self, values: Tensor) -> Tensor:
        """Whether all values of a block are finite; a scalar."""

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The values of all blocks as one tensor, on the CPU."""

    def split(self, joined: Tensor) -> Values:
        """The values of each block in what `join` made."""


@dataclasses.dataclass(frozen=True)
class PerNeuron:
    """Statistics of every neuron: `[statistics, neurons]` of a block, side by side for all.

    Args:
        layout: the blocks.
        statistics: what is measured.
        tau: the threshold that a statistic may look at.
    """

    layout: NeuronLayout
    statistics: tuple[Statistic, ...] = MOMENTS
    tau: float = 0.1

    def about(self) -> list[list[str]]:
        return [[statistic.name, statistic.reduction] for statistic in self.statistics]

    def empty(self, block: int, device: torch.device | str = "cpu") -> Tensor:
        return no_observations(self.statistics, self.layout.blocks[block].neurons, device)

    def add(self, values: Tensor, activations: Tensor, rows: Tensor | None, columns: slice, dtype: torch.dtype) -> None:
        seen = reduce_activations(self.statistics, activations, self.tau, rows, dtype)
        merge_into(self.statistics, values[:, columns], seen)

    def add_groups(self, values: Tensor, activations: Tensor, counts: Sequence[int], dtype: torch.dtype) -> bool:
        # Metal has no float64, and of other statistics nobody knows what zeros do to them.
        if self.statistics != MOMENTS or activations.device.type == "mps":
            return False
        if not keeps_bits(activations.shape[1], activations.device):
            return False
        values += reduce_groups(activations, counts, self.tau, dtype).flatten(1)
        return True

    def merge(self, one: Tensor, other: Tensor) -> Tensor:
        merged = one.to(other.device, copy=True)
        merge_into(self.statistics, merged, other)
        return merged

    def is_finite(self, values: Tensor) -> Tensor:
        return are_finite(self.statistics, values)

    def join(self, values: Sequence[Tensor]) -> Tensor:
        return torch.cat([own.cpu() for own in values], dim=-1)

    def split(self, joined: Tensor) -> Values:
        return list(self.layout.split(joined))


@dataclasses.dataclass(frozen=True)
class PerPair:
    """The sums of z z^T of every block, `[neurons + 2, neurons]`; below them that of z, and the number of observations.

    A block of 11,008 neurons takes a gigabyte: `lmms_manu.measuring.pairs` measures a few layers at a time, and nothing
    is copied that need not be. With experts, only neurons of one expert ever meet.

    Args:
        layout: the blocks.
    """

    layout: NeuronLayout

    def about(self) -> str:
        return "second moments and means"

    def empty(self, block: int, device: torch.device | str = "cpu") -> Tensor:
        neurons = self.layout.blocks[block].neurons
        return torch.zeros(neurons + 2, neurons, dtype=torch.float64, device=device)

    def add(self, values: Tensor, activations: Tensor, rows: Tensor | None, columns: slice, dtype: torch.dtype) -> None:
        seen = (activations if rows is None else activations.index_select(0, rows)).to(dtype)
        values[columns, columns] += (seen.T @ seen).to(values.device)
        values[-2, columns] += seen.sum(0).to(values.device)
        values[-1, columns] += len(seen)

    def add_groups(self, values: Tensor, activations: Tensor, counts: Sequence[int], dtype: torch.dtype) -> bool:
        return False

    def merge(self, one: Tensor, other: Tensor) -> Tensor:
        # What a forward pass without gradients has left must not be changed outside of that mode.
        with torch.inference_mode():
            return other.add_(one.to(other.device))

    def is_finite(self, values: Tensor) -> Tensor:
        return values.isfinite().all()

    def join(self, values: Sequence[Tensor]) -> Tensor:
        joined = torch.empty(sum(own.numel() for own in values), dtype=torch.float64)
        for piece, own in zip(self.split(joined), values, strict=True):
            piece.copy_(own)
        return joined

    def split(self, joined: Tensor) -> Values:
        sizes = [block.neurons for block in self.layout.blocks]
        pieces = joined.split([(size + 2) * size for size in sizes])
        return [piece.view(size + 2, size) for piece, size in zip(pieces, sizes, strict=True)]
