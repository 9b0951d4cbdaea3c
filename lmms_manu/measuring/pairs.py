"""Second moments E[z z^T] of a block's neurons on each part of the data, for edits in closed form.

They are large (a gigabyte for a block of 11,008 neurons), so a few blocks are measured at a time, each few in forward
passes of their own. Those of a small model are kept in the cache; of a large one only what an interrupted measurement
had reached.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from lmms_manu.measuring.gathering import PerPair
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.measure import determinants_of_parts, measure_parts
from lmms_manu.measuring.parts import Part, Parts
from lmms_manu.measuring.runner import ActivationRunner
from lmms_manu.measuring.settings import PassSettings
from lmms_manu.measuring.statistics_cache import LIMIT_BYTES
from lmms_manu.models.blocks import MlpBlock
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint

_FLOAT64 = 8
BUDGET = 16 * 1024**3

AT_HAND = 2
"""What is there beside the sums of each part: a shard, and the batch at hand or a copy of a shard to be added."""

KEPT = LIMIT_BYTES // 2
"""The bytes that all values together may take to be kept in the cache, in which statistics of all kinds lie."""


@dataclasses.dataclass(frozen=True)
class SecondMoments:
    """The second moments of one block.

    Args:
        block: the block.
        parts: by part E[z z^T] over its observations, `[neurons, neurons]`, float64, on the CPU; a part on which the
            block never ran is left out.
        means: by part E[z], `[neurons]`.
        counts: by part the number of observations.
    """

    block: MlpBlock
    parts: Mapping[Part, Tensor]
    means: Mapping[Part, Tensor]
    counts: Mapping[Part, int]


def measure_second_moments(
    checkpoint: Checkpoint,
    blocks: Sequence[MlpBlock],
    parts: Parts,
    settings: PassSettings,
    *,
    budget: int = BUDGET,
    progress: bool = True,
) -> Iterator[SecondMoments]:
    """The second moments of the blocks, one after the other, from as few passes over the data as memory allows.

    Arguments and errors as of `measure`. The model must stay as it is until the last block was given.

    Args:
        budget: bytes that the values of the blocks measured at a time may take.
    """
    kept = sum(len(parts) * _FLOAT64 * (block.neurons + 2) * block.neurons for block in blocks) <= KEPT
    for group in groups_within(blocks, budget, len(parts)):
        # A group leaves nothing in a variable here: the next one is measured while this function waits.
        yield from map(_of_block, group, _sums(checkpoint, group, parts, settings, kept, progress))


def bytes_of(block: MlpBlock, parts: int) -> int:
    """What the values of a block take while so many parts of the data are measured."""
    return (parts + AT_HAND) * _FLOAT64 * (block.neurons + 2) * block.neurons


def _sums(
    checkpoint: Checkpoint,
    group: Sequence[MlpBlock],
    parts: Parts,
    settings: PassSettings,
    store: bool,
    progress: bool,
) -> Iterator[dict[Part, Tensor]]:
    """By part the sums of each block; they are measured before the first is given."""
    gathering = PerPair(NeuronLayout.of(group))
    determinants = determinants_of_parts(checkpoint, group, parts, settings, statistics=gathering.about())

    def runner() -> ActivationRunner:
        return ActivationRunner(checkpoint, PromptEncoder(checkpoint), group, gathering, settings.tokens)

    found = measure_parts(runner, parts, determinants, settings, name=checkpoint.name, store=store, progress=progress)
    split = {part: gathering.split(values) for part, values in found.values.items()}
    for number in range(len(group)):
        yield {part: values[number] for part, values in split.items()}


def groups_within(blocks: Sequence[MlpBlock], budget: int, parts: int) -> Iterator[tuple[MlpBlock, ...]]:
    """The blocks in groups whose values fit into `budget` bytes while they are measured; a group has at least one."""
    group: list[MlpBlock] = []
    taken = 0
    for block in blocks:
        size = bytes_of(block, parts)
        if group and taken + size > budget:
            yield tuple(group)
            group, taken = [], 0
        group.append(block)
        taken += size
    if group:
        yield tuple(group)


def _of_block(block: MlpBlock, sums: Mapping[Part, Tensor]) -> SecondMoments:
    """The means in the place of the sums, which are large."""
    ran = {part: own for part, own in sums.items() if bool(own[-1].any())}
    for own in ran.values():
        # With experts, each neuron has seen the tokens of its own.
        own[:-1] /= own[-1].clamp(min=1)
    return SecondMoments(
        block,
        {part: own[:-2] for part, own in ran.items()},
        {part: own[-2] for part, own in ran.items()},
        {part: int(own[-1].max()) for part, own in ran.items()},
    )
