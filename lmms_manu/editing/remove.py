"""Pruning neurons by making the matrices smaller."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import neurons_of, verify_zeros, zero_neurons
from lmms_manu.errors import ModelError
from lmms_manu.models.blocks import MlpBlock, Slot
from lmms_manu.models.projections import named_candidates
from lmms_manu.models.towers import TowerMap

_WIDTH_SETTINGS = ("intermediate_size", "ffn_dim", "mlp_dim")


def check_removable(model: nn.Module, blocks: Sequence[MlpBlock]) -> None:
    """Raises unless the matrices of `blocks` can be made smaller; to be called before anything is measured.

    Raises:
        ModelError: weights are offloaded, so that their shapes are recorded elsewhere.
    """
    for block in blocks:
        for slot in block.slots:
            if model.get_parameter(slot.parameter).device.type == "meta":
                raise ModelError(
                    f"prune_mode=remove: {slot.parameter} is offloaded, and offloaded weights keep their shapes. Use "
                    "prune_mode=zero, or load the model without offloading."
                )


def check_saveable(
    model: nn.Module, blocks: Sequence[MlpBlock], pruned: Mapping[str, int], multiple_of: int = 8
) -> None:
    """Raises unless the model could be saved with so many neurons of each block removed; touches no weight.

    Args:
        model: the model that `blocks` were found in.
        blocks: its blocks.
        pruned: how many neurons each block loses, by its name.
        multiple_of: as in `remove_neurons`.

    Raises:
        ModelError: no configuration describes such widths.
    """
    shell = _made_from_configuration(model)
    smaller = [
        _shrink(shell, block, _kept(block, torch.arange(pruned.get(block.name, 0)), multiple_of)) for block in blocks
    ]
    if not _describe_widths(shell, blocks, smaller):
        _refuse_to_save()


def remove_neurons(
    model: nn.Module, blocks: Sequence[MlpBlock], mask: NeuronMask, multiple_of: int = 8
) -> tuple[MlpBlock, ...]:
    """Takes the neurons of `mask` out of the matrices of `model`, in place.

    The logits are those of zeroed weights but for rounding, which depends on the order of sums. All neurons of `mask`
    are zeroed first. Those stay in place, as zeros, that fill a width up to `multiple_of` (matrix products of odd
    widths are slow on accelerators, and none can be saved), that belong to stacked experts (one tensor has one width
    for all of them), or to a block whose neurons see each other behind the activation.

    A model whose layers have different widths is nothing that a configuration can describe: saving it is refused from
    then on. Where every layer of a tower keeps the same width, and nothing else takes its width from the same setting,
    the configuration gets that width and the model saves and loads as any other.

    Args:
        model: the model that `blocks` were found in, not offloaded.
        blocks: its blocks.
        mask: which neurons to prune.
        multiple_of: what the widths that remain are multiples of; 1 removes every neuron of the mask.

    Returns:
        The blocks as they are afterwards.

    Raises:
        DataError: the mask does not fit the blocks.
        ModelError: as `check_removable`; or zeros were lost.
    """
    check_removable(model, blocks)
    zero_neurons(model, blocks, mask)
    verify_zeros(model, blocks, mask)
    remaining = tuple(
        _shrink(model, block, _kept(block, indices, multiple_of))
        for block, indices in zip(blocks, mask.in_order(blocks), strict=True)
    )
    if not _describe_widths(model, blocks, remaining):
        model.save_pretrained = _refuse_to_save  # type: ignore[assignment]
    return remaining


def _kept(block: MlpBlock, pruned: torch.Tensor, multiple_of: int) -> torch.Tensor:
    """The neurons that stay: all that are not pruned, and as many of the pruned ones as the width needs."""
    every = torch.arange(block.neurons)
    if block.experts or block.coupled or not pruned.numel():
        return every
    left = block.neurons - pruned.numel()
    # No projection may be left without any neuron: neither a configuration nor a file could hold it.
    needed = -left % multiple_of if left else multiple_of
    is_removed = torch.zeros(block.neurons, dtype=torch.bool)
    is_removed[pruned[needed:]] = True
    return every[~is_removed]


def _shrink(model: nn.Module, block: MlpBlock, kept: torch.Tensor) -> MlpBlock:
    if kept.numel() == block.neurons:
        return block
    by_parameter: dict[str, list[Slot]] = {}
    for slot in block.slots:
        by_parameter.setdefault(slot.parameter, []).append(slot)
    for name, slots in by_parameter.items():
        owner, _, key = name.rpartition(".")
        weight = model.get_parameter(name)
        parts = [neurons_of(weight.data, block, slot)[kept.to(weight.device)] for slot in slots]
        smaller = torch.cat(parts).movedim(0, slots[0].axis).contiguous()
        module = model.get_submodule(owner)
        setattr(module, key, nn.Parameter(smaller, requires_grad=weight.requires_grad))
        if key == "weight":
            _declare_sizes(module, smaller.shape)
    holder = model.get_submodule(block.name)
    for attribute, value in vars(holder).items():
        if value == block.neurons and any(word in attribute for word in ("intermediate", "ffn")):
            setattr(holder, attribute, kept.numel())
    moved = tuple(_moved(slot, kept.numel(), block.neurons) for slot in block.slots)
    return dataclasses.replace(block, neurons=kept.numel(), slots=moved)


def _moved(slot: Slot, neurons: int, before: int) -> Slot:
    """The slot of the same half of a fused projection in the smaller one."""
    return dataclasses.replace(slot, start=slot.start // before * neurons)


def _declare_sizes(module: nn.Module, shape: torch.Size) -> None:
    """Makes a projection's declared sizes those of its weight's `shape`."""
    if isinstance(module, Conv1D):
        module.nx, module.nf = shape
    elif isinstance(module, (nn.Conv1d, nn.Conv2d)):
        module.out_channels, module.in_channels = shape[:2]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = shape


def _describe_widths(model: nn.Module, before: Sequence[MlpBlock], after: Sequence[MlpBlock]) -> bool:
    """Tells the configuration the new widths, and whether it can hold them; where not, it stays as it is."""
    candidates = list(named_candidates(model))
    towers = TowerMap(model, candidates)
    changed = {old.name: old.neurons for old, new in zip(before, after, strict=True) if old.neurons != new.neurons}
    widths: dict[int, set[int]] = {}
    old_widths: dict[int, set[int]] = {}
    configs: dict[int, Any] = {}
    for candidate in candidates:
        config = towers.config_of(candidate.holder)
        if candidate.experts or towers.layer_of(candidate.holder) is None:
            continue
        configs[id(config)] = config
        widths.setdefault(id(config), set()).add(candidate.neurons)
        if candidate.holder in changed:
            old_widths.setdefault(id(config), set()).add(changed[candidate.holder])
    previous: list[tuple[Any, str, int]] = []
    for key, old in old_widths.items():
        names = [name for name in _WIDTH_SETTINGS if getattr(configs[key], name, None) in old]
        if len(widths[key]) == len(old) == 1 and names:
            previous.append((configs[key], names[0], getattr(configs[key], names[0])))
            setattr(configs[key], names[0], next(iter(widths[key])))
    # Other parts of a model may take their width from the same setting: a connector, a head of the vision tower.
    if len(previous) < len(old_widths) or not _is_described(model):
        for config, name, width in previous:
            setattr(config, name, width)
        return False
    return True


def _is_described(model: nn.Module) -> bool:
    """Whether a model that is made from the configuration has the shapes of this one."""
    try:
        made = _made_from_configuration(model)
    except Exception:  # configurations fail in as many ways as there are
        return False
    shapes = {name: parameter.shape for name, parameter in made.named_parameters()}
    return shapes == {name: parameter.shape for name, parameter in model.named_parameters()}


def _made_from_configuration(model: nn.Module) -> nn.Module:
    """A model without weights, made from the configuration of `model` as it is when it has been written and read."""
    config: Any = model.config
    with torch.device("meta"):
        made: nn.Module = type(model)(type(config).from_dict(json.loads(config.to_json_string())))
    return made


def _refuse_to_save(*arguments: Any, **settings: Any) -> NoReturn:
    raise ModelError(
        "A model with these neurons removed cannot be saved: no configuration of transformers can describe its widths "
        "(of its layers, or of a part that shares a setting with them). Use prune_mode=zero to write a checkpoint, or "
        "leave a tower out with towers=."
    )
