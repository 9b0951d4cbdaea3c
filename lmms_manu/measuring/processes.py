"""The processes that share one measurement: which part of the work is whose, and how results become one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from itertools import chain
from typing import Any

import torch.distributed as dist
from torch import Tensor

from lmms_manu.errors import ModelError

LONGEST_WAIT = timedelta(hours=24)
"""How long a process waits for others, of which one may measure, judge or resume for hours; torch's own is minutes.

The harness's command line joins the processes itself, with a wait of its own (16 hours).
"""

_SHOWN = 3


@dataclasses.dataclass(frozen=True)
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
        """Checks that all processes have the same `value`; errors as in `agree`."""
        self.agree({what: value})

    def agree(self, values: Mapping[str, str]) -> None:
        """Checks that all processes have the same values, under the same names.

        Args:
            values: what determines a result, such as a fingerprint, by what it is.

        Raises:
            ModelError: they differ; in every process, naming the first difference with both values.
        """
        held = self.gather(dict(values))
        differing = [name for name in dict.fromkeys(chain(*held)) if len({own.get(name) for own in held}) > 1]
        if not differing:
            return
        found = []
        for name in differing[:_SHOWN]:
            ranks: dict[str | None, list[str]] = {}
            for rank, own in enumerate(held):
                ranks.setdefault(own.get(name), []).append(str(rank))
            held_by = "; ".join(f"{value or 'nothing'} in process {', '.join(own)}" for value, own in ranks.items())
            found.append(f"{name} ({held_by})")
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise ModelError(
            f"The processes differ in {', '.join(found)}{more}: their results would be mixed. Give each the same "
            "checkpoint, data, settings and versions of the libraries."
        )


@lru_cache(maxsize=1)
def _cpu_group() -> Any:
    """A group that can send CPU tensors; with NCCL alone there is none."""
    return (
        dist.group.WORLD if "gloo" in str(dist.get_backend()) else dist.new_group(backend="gloo", timeout=LONGEST_WAIT)
    )
