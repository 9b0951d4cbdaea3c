"""Pruning neurons by setting their weights to zero."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence

import torch
from torch import nn

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.weights import edit_weight, location, read_weight
from lmms_manu.errors import ModelError
from lmms_manu.models.blocks import MlpBlock, Slot


def check_editable(model: nn.Module, blocks: Sequence[MlpBlock]) -> None:
    """Raises unless the neurons of `blocks` can be pruned; to be called before anything is measured.

    Raises:
        ModelError: weights are quantised, packed, sharded over processes, shared between blocks, or nowhere to be
            found.
    """
    owners: dict[Hashable, str] = {}
    for block in blocks:
        for slot in block.slots:
            parameter = _parameter(model, slot.parameter)
            if not parameter.is_floating_point() or parameter.element_size() < 2:
                raise ModelError(
                    f"{slot.parameter} cannot be edited: its values are {parameter.dtype}{_quantisation(model)}. Load "
                    "a checkpoint of float32, bfloat16 or float16 weights."
                )
            if type(parameter.data) is not torch.Tensor:
                raise ModelError(
                    f"{slot.parameter} cannot be edited: it is a {type(parameter.data).__name__}, not a plain tensor"
                    f"{_quantisation(model)}. Load the model without tensor parallelism and quantisation."
                )
            size = parameter.shape[slot.axis] if slot.axis < parameter.dim() else 0
            if size < slot.start + slot.step * (block.neurons_per_expert - 1) + 1:
                raise ModelError(
                    f"{slot.parameter} cannot be edited: its shape {tuple(parameter.shape)} has no place for "
                    f"{block.neurons_per_expert} neurons on axis {slot.axis}."
                )
            other = owners.setdefault(location(model, slot.parameter, parameter), block.name)
            if other != block.name:
                raise ModelError(
                    f"{block.name} and {other} share the weight {slot.parameter}: pruning one of them would prune the "
                    "other. Name only one of them with mlp_blocks=."
                )


def zero_neurons(model: nn.Module, blocks: Sequence[MlpBlock], mask: NeuronMask) -> int:
    """Sets the weights of the neurons in `mask` to zero, in place, offloaded weights included.

    A neuron's weights are its column of the down projection and its rows (and biases) of the up and gate projections.
    The model then computes what it would with that activation forced to zero. In a block whose neurons see each other
    behind the activation (`MlpBlock.coupled`) only the down projection is touched, which has that same effect.

    Args:
        model: the model that `blocks` were found in.
        blocks: its blocks.
        mask: which neurons to prune.

    Returns:
        How many neurons were pruned.

    Raises:
        DataError: the mask does not fit the blocks.
        ModelError: a weight cannot be reached.
    """
    mask.check_fits(blocks)
    for block, indices in zip(blocks, mask.in_order(blocks), strict=True):
        if not indices.numel():
            continue
        for slot in block.slots:
            edit_weight(model, slot.parameter, functools.partial(_zero, block=block, slot=slot, indices=indices))
    return mask.count


def verify_zeros(model: nn.Module, blocks: Sequence[MlpBlock], mask: NeuronMask) -> None:
    """Reads the weights back and raises unless those of all pruned neurons are zero.

    Raises:
        ModelError: a weight of a pruned neuron is not zero.
    """
    for block, indices in zip(blocks, mask.in_order(blocks), strict=True):
        for slot in block.slots if indices.numel() else ():
            weight = read_weight(model, slot.parameter)
            left = torch.count_nonzero(neurons_of(weight, block, slot)[positions(block, indices, weight.device)])
            if left:
                raise ModelError(
                    f"{int(left)} weights of pruned neurons in {slot.parameter} are not zero: the edit was lost. The "
                    "model must not be used as a pruned one."
                )


def neurons_of(weight: torch.Tensor, block: MlpBlock, slot: Slot) -> torch.Tensor:
    """A view of `weight` with its neurons in front: `[neurons, ...]`, or `[experts, neurons, ...]` where stacked."""
    stop = slot.start + slot.step * (block.neurons_per_expert - 1) + 1
    if slot.stacked:
        return weight.movedim(slot.axis, 1)[:, slot.start : stop : slot.step]
    return weight.movedim(slot.axis, 0)[slot.start : stop : slot.step]


def _zero(weight: torch.Tensor, block: MlpBlock, slot: Slot, indices: torch.Tensor) -> None:
    neurons_of(weight, block, slot)[positions(block, indices, weight.device)] = 0


def positions(block: MlpBlock, indices: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, ...]:
    """The index of a block's neurons in what `neurons_of` returns."""
    indices = indices.to(device)
    if not block.experts:
        return (indices,)
    return indices // block.neurons_per_expert, indices % block.neurons_per_expert


def _parameter(model: nn.Module, name: str) -> nn.Parameter:
    try:
        return model.get_parameter(name)
    except AttributeError as error:
        raise ModelError(
            f"{name} cannot be edited: the model holds it in packed form{_quantisation(model)}. Load a checkpoint of "
            "float32, bfloat16 or float16 weights."
        ) from error


def _quantisation(model: nn.Module) -> str:
    """What the configuration says of quantisation, as a part of a sentence."""
    config = getattr(getattr(model, "config", None), "quantization_config", None)
    method = config.get("quant_method") if isinstance(config, dict) else getattr(config, "quant_method", None)
    return f" (quantised with {getattr(method, 'value', method)})" if method else ""
