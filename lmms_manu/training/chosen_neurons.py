"""Training of chosen neurons of MLP blocks alone.

What is trained are copies of their rows of the up and gate projections and of their columns of the down projection, in
float32; a forward pass puts them into the place of the model's own. Gradients and the optimiser's state are as large as
what is chosen, and no second model lies in memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lmms_manu.editing.changes import Change, ChangedTensors
from lmms_manu.editing.zero import neurons_of, positions
from lmms_manu.errors import ModelError
from lmms_manu.models.blocks import MlpBlock, Slot
from lmms_manu.models.loading import Checkpoint
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.tuning import Tuning, unchanged


@dataclasses.dataclass(frozen=True)
class NeuronChoice:
    """Which neurons are trained, and from where.

    Args:
        blocks: the blocks of the model.
        neurons: of each block the chosen ones, int `[chosen]`; none may be chosen.
        trained: of each block whether its neurons are trained; those of the others keep what they start with.
        inputs_only: whether the down projections' columns are left alone.
        silent: whether these columns start at zero, so that the neurons put out nothing.
    """

    blocks: Sequence[MlpBlock]
    neurons: Sequence[Tensor]
    trained: Sequence[bool]
    inputs_only: bool = False
    silent: bool = False


@dataclasses.dataclass(frozen=True)
class _Piece:
    """The chosen neurons' part of one parameter: where it lies, and its values, trained or not."""

    block: MlpBlock
    slot: Slot
    neurons: Tensor
    values: Tensor


class ChosenNeurons(Tuning):
    """The weights of chosen neurons.

    Args:
        checkpoint: the model; none of its weights is changed.
        settings: those of the training.
        choice: the neurons.

    Raises:
        ModelError: there is nothing to train.
    """

    def __init__(self, checkpoint: Checkpoint, settings: TrainingSettings, choice: NeuronChoice) -> None:
        super().__init__(checkpoint, settings)
        for parameter in self._base.parameters():
            parameter.requires_grad_(False)
        pieces = [
            self._piece(block, slot, neurons, choice, trained=trained)
            for block, neurons, trained in zip(choice.blocks, choice.neurons, choice.trained, strict=True)
            if len(neurons)
            for slot in block.slots
        ]
        # A piece that neither is trained nor starts elsewhere is the model's own.
        self._pieces = [piece for piece in pieces if piece is not None]
        if not any(isinstance(piece.values, nn.Parameter) for piece in self._pieces):
            raise ModelError(
                "None of the chosen neurons has weights that could be trained: they all lie behind the layer whose "
                "output is trained, or what is trained of them is held by no weight of this model."
            )
        self.model = _WithNeurons(self._base, self._pieces)

    def change(self) -> Change:
        with torch.no_grad():
            made = self.model.tensors()
        changed = {
            name: tensor.to("cpu", copy=True).contiguous()
            for name, tensor in made.items()
            if not torch.equal(tensor, self._base.get_parameter(name))
        }
        if not changed:
            raise ModelError(unchanged())
        return ChangedTensors(changed)

    def _piece(
        self, block: MlpBlock, slot: Slot, neurons: Tensor, choice: NeuronChoice, *, trained: bool
    ) -> _Piece | None:
        weight = self._base.get_parameter(slot.parameter).detach()
        is_down = slot is block.slots[-1]
        own = neurons_of(weight, block, slot)[positions(block, neurons, weight.device)].float()
        if is_down and choice.silent:
            own = torch.zeros_like(own)
        if trained and not (is_down and choice.inputs_only):
            return _Piece(block, slot, neurons, nn.Parameter(own.clone()))
        return _Piece(block, slot, neurons, own) if is_down and choice.silent else None

    def _touched(self, change: Change) -> set[str]:
        assert isinstance(change, ChangedTensors)
        return set(change.tensors)


class _WithNeurons(nn.Module):
    """A model with other values of chosen neurons; by its methods it passes for one with an adapter of peft's."""

    def __init__(self, base: Any, pieces: Sequence[_Piece]) -> None:
        super().__init__()
        self.base = base
        self.values = nn.ParameterList(piece.values for piece in pieces if isinstance(piece.values, nn.Parameter))
        self._pieces = pieces
        self._off = False

    def forward(self, **inputs: Any) -> Any:
        if self._off:
            return self.base(**inputs)
        return torch.func.functional_call(self.base, self.tensors(), (), inputs)

    def tensors(self) -> dict[str, Tensor]:
        """The parameters that hold chosen neurons, with their values in place, by name."""
        made: dict[str, Tensor] = {}
        for piece in self._pieces:
            name = piece.slot.parameter
            if name not in made:
                made[name] = self.base.get_parameter(name).detach().clone()
            places = positions(piece.block, piece.neurons, made[name].device)
            neurons_of(made[name], piece.block, piece.slot)[places] = piece.values.to(made[name].dtype)
        return made

    def get_base_model(self) -> Any:
        """The model itself."""
        return self.base

    @contextlib.contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """The model as it was."""
        self._off = True
        try:
            yield
        finally:
            self._off = False
