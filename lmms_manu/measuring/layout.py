"""The neurons of a model in one row: which block, layer and tower each position belongs to."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lmms_manu.models.tower_names import TOWERS, VISION


class Block(Protocol):
    """What a layout needs to know of an MLP block."""

    @property
    def name(self) -> str: ...
    @property
    def tower(self) -> str: ...
    @property
    def layer(self) -> int: ...
    @property
    def neurons(self) -> int: ...


@dataclasses.dataclass(frozen=True)
class BlockEntry:
    """A block's place: its name, its tower, its layer in that tower, and how many neurons it has."""

    name: str
    tower: str
    layer: int
    neurons: int


@dataclasses.dataclass(frozen=True)
class NeuronLayout:
    """Blocks in their fixed order; a tensor `[..., neurons]` holds the neurons of all of them, block by block.

    Raises:
        ValueError: a block of one tower stands between those of another.
    """

    blocks: tuple[BlockEntry, ...]

    def __post_init__(self) -> None:
        towers = [tower for tower, _ in itertools.groupby(block.tower for block in self.blocks)]
        if len(towers) > len(set(towers)):
            raise ValueError(f"The blocks of a tower do not stand together: the towers are {', '.join(towers)}.")

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> NeuronLayout:
        return cls(tuple(BlockEntry(block.name, block.tower, block.layer, block.neurons) for block in blocks))

    @classmethod
    def from_json(cls, entries: Sequence[Sequence[Any]]) -> NeuronLayout:
        return cls(tuple(BlockEntry(*entry) for entry in entries))

    def as_json(self) -> list[list[Any]]:
        return [[block.name, block.tower, block.layer, block.neurons] for block in self.blocks]

    @cached_property
    def neurons(self) -> int:
        return sum(block.neurons for block in self.blocks)

    @cached_property
    def vision(self) -> Tensor:
        """Which neurons belong to the vision tower, `[neurons]`, bool."""
        vision = torch.zeros(self.neurons, dtype=torch.bool)
        vision[self.towers.get(VISION, slice(0))] = True
        return vision

    @cached_property
    def towers(self) -> dict[str, slice]:
        """Where the neurons of each tower stand: its blocks lie side by side."""
        towers: dict[str, slice] = {}
        start = 0
        for tower, blocks in itertools.groupby(self.blocks, lambda block: block.tower):
            stop = start + sum(block.neurons for block in blocks)
            towers[tower], start = slice(start, stop), stop
        return towers

    @cached_property
    def layers(self) -> dict[tuple[str, int], list[int]]:
        """The numbers of the blocks of each tower and layer; experts, say, share one with what all tokens see."""
        layers: dict[tuple[str, int], list[int]] = {}
        for number, block in enumerate(self.blocks):
            layers.setdefault((block.tower, block.layer), []).append(number)
        return layers

    def mark(self, indices: Callable[[str], Tensor]) -> Tensor:
        """Which neurons are meant by the `indices` of each block, asked for by its name: `[neurons]`, bool."""
        marked = torch.zeros(self.neurons, dtype=torch.bool)
        for block, own in zip(self.blocks, self.split(marked), strict=True):
            own[indices(block.name)] = True
        return marked

    def split(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """`[..., neurons]` as one tensor per block."""
        return torch.split(tensor, [block.neurons for block in self.blocks], dim=-1)

    def per_tower(self, marked: Tensor) -> dict[str, tuple[int, int]]:
        """How many neurons of each tower are `marked`, `[neurons]` bool, and how many there are."""
        return {
            tower: (int(marked[inside].sum()), inside.stop - inside.start)
            for tower in TOWERS
            if (inside := self.towers.get(tower)) is not None
        }

    def per_layer(self, marked: Tensor) -> dict[str, list[tuple[int, int]]]:
        """How many neurons of each layer of each tower are `marked`, `[neurons]` bool, and how many there are."""
        layers: dict[str, dict[int, tuple[int, int]]] = {}
        ends = list(itertools.accumulate((block.neurons for block in self.blocks), initial=0))
        until = np.concatenate(([0], marked.numpy().cumsum()))
        for block, own in zip(self.blocks, np.diff(until[ends]).tolist(), strict=True):
            tower = layers.setdefault(block.tower, {})
            pruned, total = tower.get(block.layer, (0, 0))
            tower[block.layer] = (pruned + own, total + block.neurons)
        # A layer without an MLP block (attention alone, say) has its place nevertheless.
        return {tower: [of.get(layer, (0, 0)) for layer in range(max(of) + 1)] for tower, of in layers.items()}
