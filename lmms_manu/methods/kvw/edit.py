"""The edit: coefficients of both sets, gates, and the product.

edit
    measure the retain set
    paper: measure the forget set; the excess
    released: for each sample to forget: measure it on the weights as they are, add its excess, weaken
    gates, dealt at random for a control; the weights times the gates
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from lmms_manu.editing.changes import ChangedTensors
from lmms_manu.editing.columns import down_columns, down_projections
from lmms_manu.editing.weights import edit_weight, read_weight
from lmms_manu.errors import DataError, SettingError
from lmms_manu.measuring.gathering import PerNeuron
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.measure import measure
from lmms_manu.measuring.neuron_statistics import NeuronStatistics
from lmms_manu.measuring.parts import Parts, parts_with_examples
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.runner import ActivationRunner
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.measuring.statistics import ABSOLUTE, COUNT
from lmms_manu.methods.base import Edit
from lmms_manu.methods.kvw.config import KvwSettings
from lmms_manu.methods.kvw.gates import coefficients, dealt, excess, gates, weakened
from lmms_manu.models.blocks import LANGUAGE, MlpBlock
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint

_STATISTICS = (COUNT, ABSOLUTE)


def chosen_blocks(checkpoint: Checkpoint, settings: KvwSettings) -> tuple[MlpBlock, ...]:
    """The blocks of the language model whose layers the settings mean.

    Raises:
        ModelError: they cannot be edited.
        SettingError: there are none.
    """
    blocks = [block for block in down_projections(checkpoint) if block.tower == LANGUAGE]
    depth = max(block.layer for block in blocks) + 1
    if chosen := tuple(block for block in blocks if settings.covers(block.layer, depth)):
        return chosen
    raise SettingError(
        f"from_depth={settings.from_depth:g} and to_depth={settings.to_depth:g} leave no layer of the language "
        f"model's {depth}: make the range wider."
    )


def edit(checkpoint: Checkpoint, examples: Parts, settings: KvwSettings) -> Edit:
    """Finds the new down projections; arguments and errors as in `Method.edit`."""
    blocks = chosen_blocks(checkpoint, settings)
    parts = {part: own for part, own in examples.items() if settings.modalities in ("both", part.modality)}
    if not parts:
        raise DataError(f"modalities={settings.modalities}: there is no such sample for this model.")
    parts_with_examples(parts)
    started = time.perf_counter()
    measured = measure(checkpoint, blocks, parts, _measure_settings(settings), statistics=_STATISTICS)
    retain = _coefficients(measured, "retain")
    if settings.recipe == "paper":
        total = excess(_coefficients(measured, "forget"), retain)
    else:
        total = _Progressive(checkpoint, blocks, settings, retain).run(parts)
    # The first process's, since devices of two kinds may round in two ways.
    total = Processes.current().share(total, 0)
    own = list(NeuronLayout.of(blocks).split(gates(total, settings.own_strength)))
    if settings.random_control:
        own = [dealt(gate, settings.seed + number) for number, gate in enumerate(own)]
    tensors = {
        block.slots[0].parameter: _weakened(read_weight(checkpoint.model, block.slots[0].parameter), block, gate)
        for block, gate in zip(blocks, own, strict=True)
    }
    below = sum(int((gate < 1).sum()) for gate in own)
    told = {block.name: round(float(gate.mean()), 6) for block, gate in zip(blocks, own, strict=True)}
    return Edit(
        ChangedTensors(tensors) if below else None,
        counts={LANGUAGE: (below, sum(len(gate) for gate in own))},
        unit="value vectors",
        seconds={"measuring": time.perf_counter() - started},
        details={"mean_gates": told},
    )


class _Progressive:
    """The released form: one sample to forget after the other, on weights that the ones before have weakened.

    Args:
        checkpoint: the model, whose down projections are changed on the way.
        blocks: those that are weakened.
        settings: the strength of a sample, and which tokens count.
        retain: the coefficients of the retain set on the weights as they were, `[neurons]`.
    """

    def __init__(
        self, checkpoint: Checkpoint, blocks: tuple[MlpBlock, ...], settings: KvwSettings, retain: Tensor
    ) -> None:
        self._model = checkpoint.model
        self._blocks = blocks
        self._settings = settings
        self._retain = retain
        self._gathering = PerNeuron(NeuronLayout.of(blocks), _STATISTICS)
        self._runner = ActivationRunner(checkpoint, PromptEncoder(checkpoint), blocks, self._gathering, settings.tokens)
        self._before = {block.name: read_weight(self._model, block.slots[0].parameter).clone() for block in blocks}

    def run(self, parts: Parts) -> Tensor:
        """The sum of the samples' excess, `[neurons]`; the weights are as before afterwards."""
        passages = [passage for part, own in parts.items() if part.set == "forget" for passage in own]
        total = torch.zeros(self._gathering.layout.neurons, dtype=torch.float64)
        try:
            for passage in tqdm(passages, "weakening", unit="sample", disable=not Processes.current().first):
                count, absolute = self._gathering.join(self._runner.run(self._runner.encode([passage])))
                total += excess(coefficients(absolute, count), self._retain)
                self._write(gates(total, self._settings.own_strength))
        finally:
            self._write(torch.ones_like(total))
        return total

    def _write(self, gate: Tensor) -> None:
        for block, own in zip(self._blocks, self._gathering.layout.split(gate), strict=True):
            new = _weakened(self._before[block.name], block, own)
            edit_weight(self._model, block.slots[0].parameter, functools.partial(_copy, new=new))


def _measure_settings(settings: KvwSettings) -> MeasureSettings:
    return MeasureSettings(settings.tokens, settings.statistics_batch_size, settings.statistics_cache)


def _coefficients(measured: NeuronStatistics, group: str) -> Tensor:
    """The knowledge coefficients of a set, the mean of its modalities, `[neurons]`."""
    own: Sequence[Tensor] = [
        coefficients(measured(part, ABSOLUTE.name), measured(part, COUNT.name))
        for part in measured.parts
        if part.set == group
    ]
    return torch.stack(list(own)).mean(0)


def _weakened(weight: Tensor, block: MlpBlock, gate: Tensor) -> Tensor:
    """A copy of the down projection with the gates of its neurons applied, on the CPU."""
    new = weight.to("cpu", copy=True).contiguous()
    for columns, own in zip(down_columns(new, block), gate.split(block.neurons_per_expert), strict=True):
        columns.copy_(weakened(columns, own))
    return new


def _copy(weight: Tensor, new: Tensor) -> None:
    weight.copy_(new)
