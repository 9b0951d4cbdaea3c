"""How batches are distributed, so that results are equal to the bit for any number of processes.

Floating-point addition depends on its order. Batches are therefore put together in a fixed number of shards, whatever
number of processes works on them, and the shards in the order of their numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from lmms_manu.measuring.gathering import Gathering
from lmms_manu.measuring.processes import Processes

SHARDS = 16

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Shard:
    """A fixed share of the batches: those whose number leaves `number` when divided by `SHARDS`."""

    number: int
    batches: tuple[int, ...]


def batches_of(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """The whole list cut into batches of `size`, the last one smaller."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def shards_of(processes: Processes, batches: int) -> list[Shard]:
    """The shards that this process works on; together the processes have all of them, each once."""
    return [
        Shard(number, tuple(range(number, batches, SHARDS)))
        for number in range(processes.rank, SHARDS, processes.world)
        if number < batches
    ]


def merge_shards(processes: Processes, gathering: Gathering, own: Mapping[int, Tensor], batches: int) -> Tensor:
    """What all shards of all processes leave behind, put together in the order of the shards.

    Args:
        processes: who works on this together.
        gathering: what is measured.
        own: the joined values of the shards that this process has.
        batches: how many batches there are.

    Returns:
        The joined values, float64, on the CPU, the same in every process.
    """
    result = gathering.join([gathering.empty(block) for block in range(len(gathering.layout.blocks))])
    for number in range(min(SHARDS, batches)):
        # Shard by shard, so that no process ever holds those of all the others.
        shard = own[number] if number in own else torch.empty_like(result)
        result = gathering.merge(result, processes.share(shard, number % processes.world))
    return result
