"""The processes that share one measurement: which part of the work is whose, and how results become one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import torch.distributed as dist
from torch import Tensor

from lmms_manu.errors import ModelError

LONGEST_WAIT = timedelta(hours=24)
"""How long a process waits for others, of which one may measure, judge or resume for hours; torch's own is minutes.

The harness's command line joins the processes itself, with a wait of its own (16 hours).
"""


@dataclass(frozen=True)
class Processes:
    """The group of processes that this one belongs to.

    Args:
        rank: this process's number, counted from zero.
        world: how many there are.
    """

    rank: int = 0
    world: int = 1

    @classmethod
    def current(cls) -> Processes:
        """The group that torch.distributed was started with; one process alone if it was not."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls()
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this is the process that reports and writes for all."""
        return self.rank == 0

    def share(self, values: Tensor, source: int) -> Tensor:
        """What process `source` has as `values`, a CPU tensor of one shape; it is overwritten elsewhere."""
        if self.world > 1:
            dist.broadcast(values, source, group=_cpu_group())
        return values

    def from_first(self, value: Any) -> Any:
        """What the first process has as `value`."""
        if self.world == 1:
            return value
        holder = [value]
        dist.broadcast_object_list(holder, src=0, group=_cpu_group())
        return holder[0]

    def gather(self, value: Any) -> list[Any]:
        """What each process has as `value`, in the order of their ranks."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value, group=_cpu_group())
        return values

    def raise_everywhere(self, error: Exception | None) -> None:
        """Raises in every process what failed in one, so that none waits for the others for ever.

        Raises:
            Exception: `error` itself, where this process has one.
            ModelError: another process has one.
        """
        messages = self.gather(f"{type(error).__name__}: {error}" if error is not None else None)
        if error is not None:
            raise error
        for rank, message in enumerate(messages):
            if message is not None:
                raise ModelError(f"Process {rank} of {self.world} failed: {message}")

    def check_same(self, value: str, what: str) -> None:
        """Checks that all processes have the same `value`.

        Raises:
            ModelError: they differ.
        """
        values = self.gather(value)
        if len(set(values)) > 1:
            found = ", ".join(f"{rank}: {value}" for rank, value in enumerate(values))
            raise ModelError(f"The processes disagree about {what} ({found}).")


@lru_cache(maxsize=1)
def _cpu_group() -> Any:
    """A group that can send CPU tensors; with NCCL alone there is none."""
    return (
        dist.group.WORLD if "gloo" in str(dist.get_backend()) else dist.new_group(backend="gloo", timeout=LONGEST_WAIT)
    )
