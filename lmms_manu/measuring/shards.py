"""How batches are dealt, so that the sums are equal to the bit for any number of processes.

Floating-point addition depends on its order. Batches are therefore added up in a fixed number of shards, whatever
number of processes works on them, and the shards in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.sums import SUMS

SHARDS = 16

T = TypeVar("T")


@dataclass(frozen=True)
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


def add_shards(processes: Processes, own: Mapping[int, Tensor], batches: int, neurons: int) -> Tensor:
    """The sums over all shards of all processes, in the order of the shards.

    Args:
        processes: who works on this together.
        own: the sums `[5, neurons]` of the shards that this process has.
        batches: how many batches there are.
        neurons: how many there are.

    Returns:
        `[5, neurons]`, float64, on the CPU, the same in every process.
    """
    result = torch.zeros(len(SUMS), neurons, dtype=torch.float64)
    for number in range(min(SHARDS, batches)):
        # Shard by shard, so that no process ever holds those of all the others.
        result += processes.share(own.get(number, torch.empty_like(result)), number % processes.world)
    return result
