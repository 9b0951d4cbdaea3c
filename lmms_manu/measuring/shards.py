"""How batches are distributed, so that results are equal to the bit for any number of processes.

Floating-point addition depends on its order. Batches are therefore put together in a fixed number of shards, whatever
number of processes works on them, and the shards in the order of their numbers: each as soon as it is done, so that
memory holds the sum and the shard at hand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

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


def rounds_of(processes: Processes, batches: int, folded: int = 0) -> list[list[Shard]]:
    """The shards in the order of their numbers, as many at a time as there are processes: `owner_of` has one each.

    Args:
        processes: who works on this together.
        batches: how many batches there are.
        folded: how many of the shards are done.
    """
    last = min(SHARDS, batches)
    shards = [Shard(number, tuple(range(number, batches, SHARDS))) for number in range(last)]
    starts = range(folded // processes.world * processes.world, last, processes.world)
    return [shards[max(start, folded) : start + processes.world] for start in starts]


def owner_of(shard: Shard, processes: Processes) -> int:
    """The rank of the process that works on a shard."""
    return shard.number % processes.world
