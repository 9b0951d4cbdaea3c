"""Measuring one set in one modality: shard by shard, one batch encoded ahead, kept when interrupted."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Sequence
from typing import Generic

from torch import Tensor
from tqdm import tqdm

from lmms_manu.ahead import one_ahead
from lmms_manu.measuring.gathering import Gathering, Values
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.measuring.resume import PartialValues
from lmms_manu.measuring.runner import Batch, Runner
from lmms_manu.measuring.shards import batches_of, merge_shards, shards_of
from lmms_manu.signals import termination_as_exit

# How often what is unfinished is written, in case the process is killed without a chance to do so at its end.
_KEEP_SECONDS = 60.0

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ShardState:
    """What a shard has left behind so far.

    Args:
        values: of each block, on the device that the block last ran on.
        batches: how many of the shard's batches they hold.
    """

    values: tuple[Tensor, ...]
    batches: int

    def with_batch(self, gathering: Gathering, batch: Values) -> ShardState:
        """The state after one more batch."""
        merged = tuple(gathering.merge(own, new) for own, new in zip(self.values, batch, strict=True))
        return ShardState(merged, self.batches + 1)

    def on_cpu(self) -> ShardState:
        return ShardState(tuple(own.cpu() for own in self.values), self.batches)


class PartMeasurement(Generic[Batch]):
    """The measurement of one set in one modality, as far as this process has a share in it.

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
        self._states: dict[int, ShardState] = {}
        self._written: dict[int, int] = {}

    def run(self, processes: Processes, title: str, progress: bool) -> Tensor:
        """What the whole part leaves behind, the values of all blocks joined; the same in every process.

        Whatever ends it early, what is measured by then is kept.
        """
        failure: Exception | None = None
        with termination_as_exit():
            try:
                try:
                    self._measure_own(processes, title, progress and processes.first)
                except Exception as error:
                    failure = error
                # The others may take long, and a signal may come meanwhile.
                processes.raise_everywhere(failure)
            except BaseException:
                self._keep()
                raise
        totals = {number: self._gathering.join(state.values) for number, state in self._states.items()}
        return merge_shards(processes, self._gathering, totals, len(self._batches))

    def forget_unfinished(self) -> None:
        """Removes what was kept in case of an interrupt."""
        if self._unfinished is not None:
            self._unfinished.clear()

    def _measure_own(self, processes: Processes, title: str, progress: bool) -> None:
        shards = shards_of(processes, len(self._batches))
        self._states = {shard.number: self._start(shard.number) for shard in shards}
        waiting = [
            (shard.number, batch) for shard in shards for batch in shard.batches[self._states[shard.number].batches :]
        ]
        lengths = {shard.number: len(shard.batches) for shard in shards}
        total = sum(lengths.values())
        done = total - len(waiting)
        if done and processes.first:
            logger.warning("Going on with %s, which was interrupted: %d of %d batches are done.", title, done, total)
        kept_at = time.monotonic()
        bar = tqdm(total=total, initial=done, desc=title, unit="batch", disable=not progress)
        examples = [self._batches[batch] for _, batch in waiting]
        with bar, one_ahead(self._runner.encode, examples) as encoded:
            for (shard_number, _), batch in zip(waiting, encoded, strict=True):
                state = self._states[shard_number].with_batch(self._gathering, self._runner.run(batch))
                # One assignment, so that an interrupt finds either none of the batch or all of it.
                self._states[shard_number] = state if state.batches < lengths[shard_number] else state.on_cpu()
                bar.update()
                if time.monotonic() - kept_at > _KEEP_SECONDS:
                    self._keep()
                    kept_at = time.monotonic()

    def _start(self, shard: int) -> ShardState:
        """The state that an interrupted measurement left, or an empty one."""
        kept = self._unfinished.load(shard) if self._unfinished is not None else None
        if kept is None:
            return ShardState(tuple(map(self._gathering.empty, range(len(self._gathering.layout.blocks)))), 0)
        joined, batches = kept
        self._written[shard] = batches
        return ShardState(tuple(self._gathering.split(joined)), batches)

    def _keep(self) -> None:
        """Writes the states that have changed since they were last written."""
        if self._unfinished is None:
            return
        for shard, state in self._states.items():
            if state.batches > self._written.get(shard, 0):
                try:
                    self._unfinished.save(shard, self._gathering.join(state.values), state.batches)
                except OSError as error:
                    # Another process may have finished the same part and removed the folder; the work here goes on.
                    logger.warning("What is measured so far could not be kept: %s", error)
                    return
                self._written[shard] = state.batches
