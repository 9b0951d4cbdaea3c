"""Measuring one set in one modality: shard by shard, one batch encoded ahead, kept when interrupted."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Generator, Sequence
from typing import Generic

import torch
from torch import Tensor
from tqdm import tqdm

from lmms_manu.ahead import one_ahead
from lmms_manu.measuring.gathering import Gathering, Values
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.measuring.resume import PartialValues
from lmms_manu.measuring.runner import Batch, Runner
from lmms_manu.measuring.shards import SHARDS, Shard, batches_of, owner_of, rounds_of
from lmms_manu.signals import termination_as_exit

# How often what is unfinished is written, in case the process is killed without a chance to do so at its end.
_KEEP_SECONDS = 60.0

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ShardState:
    """What a shard has left behind so far.

    Args:
        number: the shard's.
        values: of each block, on the device that the block last ran on.
        batches: how many of the shard's batches they hold.
    """

    number: int
    values: tuple[Tensor, ...]
    batches: int = 0

    def with_batch(self, gathering: Gathering, batch: Values) -> ShardState:
        """The state after one more batch."""
        merged = tuple(gathering.merge(own, new) for own, new in zip(self.values, batch, strict=True))
        return ShardState(self.number, merged, self.batches + 1)


@dataclasses.dataclass(frozen=True)
class Folded:
    """What the first shards have left behind together.

    Args:
        values: joined.
        shards: how many they are.
    """

    values: Tensor
    shards: int = 0


class PartMeasurement(Generic[Batch]):
    """The measurement of one set in one modality, as far as this process has a share in it.

    In rounds: each process measures a shard, and all fold those of the round into the sum, in their order. A process
    holds the sum, a shard, and the batch at hand or another's shard, however many shards and processes there are.

    Args:
        runner: measures a batch.
        examples: the whole part; batches are formed over all of it.
        batch_size: the number of examples in a batch.
        unfinished: where an interrupted measurement is kept, None for nowhere.
    """

    def __init__(
        self,
        runner: Runner[Batch],
        examples: Sequence[RenderedExample],
        batch_size: int,
        unfinished: PartialValues | None,
    ) -> None:
        self._runner = runner
        self._gathering = runner.gathering
        self._batches = batches_of(examples, batch_size)
        self._unfinished = unfinished
        self._folded = Folded(self._gathering.join(self._nothing()))
        self._own: ShardState | None = None
        self._written: tuple[int, int] = (0, 0)

    def run(self, processes: Processes, title: str, progress: bool) -> Tensor:
        """What the whole part leaves behind, the values of all blocks joined; the same in every process.

        Whatever ends it early, what is measured by then is kept.
        """
        self._go_on(processes)
        rounds = rounds_of(processes, len(self._batches), self._folded.shards)
        own = [[shard for shard in shards if owner_of(shard, processes) == processes.rank] for shards in rounds]
        measuring = self._measuring([shard for shards in own for shard in shards], title, processes, progress)
        with termination_as_exit(), contextlib.closing(measuring):
            try:
                for shards, mine in zip(rounds, own, strict=True):
                    failure: Exception | None = None
                    try:
                        for _ in mine:
                            next(measuring)
                    except Exception as error:
                        failure = error
                    # The others may take long, and a signal may come meanwhile.
                    processes.raise_everywhere(failure)
                    self._fold(shards, processes)
            except BaseException:
                self._keep(processes)
                raise
        return self._folded.values

    def forget_unfinished(self) -> None:
        """Removes what was kept in case of an interrupt."""
        if self._unfinished is not None:
            self._unfinished.clear()

    def _nothing(self) -> tuple[Tensor, ...]:
        return tuple(map(self._gathering.empty, range(len(self._gathering.layout.blocks))))

    def _go_on(self, processes: Processes) -> None:
        """Begins with what an interrupted measurement had folded, as the first process finds it."""
        kept = self._unfinished.load_sum() if self._unfinished is not None and processes.first else None
        values, shards = kept or (self._folded.values, 0)
        shards = processes.from_first(shards)
        self._folded = Folded(processes.share(values, 0) if shards else values, shards)
        self._written = (shards, 0)

    def _measuring(self, shards: Sequence[Shard], title: str, processes: Processes, progress: bool) -> Generator[None]:
        """Measures one shard after the other, each when it is asked for; what it has left is in `_own`."""
        # More than one only where more processes than these were interrupted.
        states = {shard.number: state for shard in shards if (state := self._kept(shard.number)) is not None}
        waiting = [
            batch
            for shard in shards
            for batch in shard.batches[states[shard.number].batches if shard.number in states else 0 :]
        ]
        total = sum(len(shard.batches) for shard in shards)
        folded = range(processes.rank, self._folded.shards, processes.world)
        before = sum(len(range(number, len(self._batches), SHARDS)) for number in folded)
        done = total - len(waiting)
        if (done or before) and processes.first:
            text = "Going on with %s, which was interrupted: %d of %d batches are done."
            logger.warning(text, title, done + before, total + before)
        kept_at = time.monotonic()
        bar = tqdm(total=total, initial=done, desc=title, unit="batch", disable=not (progress and processes.first))
        examples = [self._batches[number] for number in waiting]
        with bar, one_ahead(self._runner.encode, examples) as ahead:
            encoded = iter(ahead)
            for shard in shards:
                self._own = states.pop(shard.number, None) or ShardState(shard.number, self._nothing())
                for _ in shard.batches[self._own.batches :]:
                    # One assignment, so that an interrupt finds either none of the batch or all of it.
                    self._own = self._own.with_batch(self._gathering, self._runner.run(next(encoded)))
                    bar.update()
                    if time.monotonic() - kept_at > _KEEP_SECONDS:
                        self._keep(processes)
                        kept_at = time.monotonic()
                yield

    def _fold(self, shards: Sequence[Shard], processes: Processes) -> None:
        """Adds the shards of a round to the sum."""
        for shard in shards:
            owner = owner_of(shard, processes)
            if owner == processes.rank and self._own is not None:
                joined = self._gathering.join(self._own.values)
            else:
                joined = torch.empty_like(self._folded.values)
            shared = processes.share(joined, owner)
            self._folded = Folded(self._gathering.merge(self._folded.values, shared), shard.number + 1)
        self._own = None

    def _kept(self, shard: int) -> ShardState | None:
        """The state of a shard that an interrupted measurement left."""
        kept = self._unfinished.load(shard) if self._unfinished is not None else None
        if kept is None:
            return None
        joined, batches = kept
        return ShardState(shard, tuple(self._gathering.split(joined)), batches)

    def _keep(self, processes: Processes) -> None:
        """Writes what has changed since it was last written: the sum by the first process, each shard by its own."""
        if self._unfinished is None:
            return
        shards, batches = self._folded.shards, self._own.batches if self._own is not None else 0
        try:
            if processes.first and shards > self._written[0]:
                self._unfinished.save_sum(self._folded.values, shards)
            if self._own is not None and batches and self._own.number >= shards and self._written != (shards, batches):
                self._unfinished.save(self._own.number, self._gathering.join(self._own.values), batches)
        except OSError as error:
            # Another process may have finished the same part and removed the folder; the work here goes on.
            logger.warning("What is measured so far could not be kept: %s", error)
            return
        self._written = (shards, batches)
