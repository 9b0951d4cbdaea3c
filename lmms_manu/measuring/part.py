"""Measuring one set in one modality: shard by shard, one batch encoded ahead, kept when interrupted."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.partial import PartialSums
from lmms_manu.measuring.passages import Passage
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.runner import BatchRunner, EncodedBatch
from lmms_manu.measuring.shards import add_shards, batches_of, shards_of
from lmms_manu.measuring.sums import ActivationSums
from lmms_manu.signals import termination_as_exit

# How often unfinished sums are written, in case the process is killed without a chance to do so at its end.
_KEEP_SECONDS = 60.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardState:
    """The sums of a shard so far.

    Args:
        sums: one for each block, each on the device that its block last ran on.
        batches: how many of the shard's batches they hold.
    """

    sums: tuple[ActivationSums, ...]
    batches: int

    def with_batch(self, batch: Sequence[ActivationSums]) -> ShardState:
        """The state after one more batch."""
        merged = tuple(own.merge(new) for own, new in zip(self.sums, batch, strict=True))
        return ShardState(merged, self.batches + 1)

    def total(self) -> Tensor:
        """The sums of all blocks side by side, `[5, neurons]`, on the CPU."""
        return torch.cat([entry.values.cpu() for entry in self.sums], dim=-1)

    def on_cpu(self) -> ShardState:
        return ShardState(tuple(ActivationSums(entry.values.cpu()) for entry in self.sums), self.batches)


class PartMeasurement:
    """The measurement of one set in one modality, as far as this process has a share in it.

    Args:
        runner: measures a batch.
        layout: of the neurons.
        passages: the whole part; batches are formed over all of it.
        batch_size: the number of passages in a batch.
        unfinished: where an interrupted measurement is kept, None for nowhere.
    """

    def __init__(
        self,
        runner: BatchRunner,
        layout: NeuronLayout,
        passages: Sequence[Passage],
        batch_size: int,
        unfinished: PartialSums | None,
    ) -> None:
        self._runner = runner
        self._layout = layout
        self._batches = batches_of(passages, batch_size)
        self._unfinished = unfinished
        self._states: dict[int, ShardState] = {}
        self._written: dict[int, int] = {}

    def run(self, processes: Processes, title: str, progress: bool) -> Tensor:
        """The sums `[5, neurons]` over the whole part, the same in every process.

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
        totals = {number: state.total() for number, state in self._states.items()}
        return add_shards(processes, totals, len(self._batches), self._layout.neurons)

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
            _logger.warning("Going on with %s, which was interrupted: %d of %d batches are done.", title, done, total)
        kept_at = time.monotonic()
        bar = tqdm(total=total, initial=done, desc=title, unit="batch", disable=not progress)
        encoded = self._encoded_one_ahead([batch for _, batch in waiting])
        with bar, contextlib.closing(encoded):
            for (shard_number, _), batch in zip(waiting, encoded, strict=True):
                state = self._states[shard_number].with_batch(self._runner.run(batch))
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
            return ShardState(tuple(ActivationSums.zeros(block.neurons) for block in self._layout.blocks), 0)
        values, batches = kept
        self._written[shard] = batches
        return ShardState(tuple(ActivationSums(own) for own in self._layout.split(values)), batches)

    def _keep(self) -> None:
        """Writes the states that have changed since they were last written."""
        if self._unfinished is None:
            return
        for shard, state in self._states.items():
            if state.batches > self._written.get(shard, 0):
                try:
                    self._unfinished.save(shard, state.total(), state.batches)
                except OSError as error:
                    # Another process may have finished the same part and removed the folder; the work here goes on.
                    _logger.warning("What is measured so far could not be kept: %s", error)
                    return
                self._written[shard] = state.batches

    def _encoded_one_ahead(self, numbers: Sequence[int]) -> Generator[EncodedBatch]:
        """The batches of these numbers, each encoded in another thread while the one before it is measured."""
        with ThreadPoolExecutor(1) as pool:
            upcoming: Future[EncodedBatch] | None = None
            for number in numbers:
                current, upcoming = upcoming, pool.submit(self._runner.encode, self._batches[number])
                if current is not None:
                    yield current.result()
            if upcoming is not None:
                yield upcoming.result()
