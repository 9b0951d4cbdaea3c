"""The up, gate and down projections of MLP blocks, found in a module tree by names and shapes.

Pure structure: nothing here knows a model type. A *holder* is the module below which the projections of one block
stand; what it computes is `down(act(gate(x)) * up(x))` or `down(act(up(x)))`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

PROJECTION_NAMES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("gate_proj", "up_proj"), "down_proj"),
    (("w1", "w3"), "w2"),
    (("wi_0", "wi_1"), "wo"),
    (("fc1_g", "fc1_x"), "fc2"),
    (("gate_up_proj",), "down_proj"),
    (("weights_in",), "weights_out"),
    (("w12",), "w3"),
    (("up_proj",), "down_proj"),
    (("fc1",), "fc2"),
    (("linear_fc1",), "linear_fc2"),
    (("lin1",), "lin2"),
    (("linear1",), "linear2"),
    (("linear_1",), "linear_2"),
    (("wi",), "wo"),
    (("w1",), "w2"),
    (("c_fc",), "c_proj"),
    (("fc_in",), "fc_out"),
    (("linear_in",), "linear_out"),
    (("dense_h_to_4h",), "dense_4h_to_h"),
    (("intermediate.dense",), "output.dense"),
)
"""Names of the up (and gate) projections and of the down projection below their holder; the fuller comes first."""


@dataclasses.dataclass(frozen=True)
class Slot:
    """Where the neurons of a block lie in one parameter.

    Args:
        parameter: the full name of the parameter.
        axis: the axis along which neurons lie.
        start: the position of the first neuron on that axis.
        step: the distance from one neuron to the next, 2 where gate and up are interleaved.
        stacked: whether axis 0 holds experts.
    """

    parameter: str
    axis: int
    start: int = 0
    step: int = 1
    stacked: bool = False


@dataclasses.dataclass(frozen=True)
class Candidate:
    """Projections that fit together as an MLP block.

    Args:
        holder: the name of the module that holds them.
        down: the name of the down projection's module, or of the experts' module where weights are stacked.
        neurons: the number of intermediate units, over all experts.
        experts: the number of stacked experts, 0 for a dense block.
        width: the number of features that go in and come out.
        gated: whether there are gate and up projections.
        coupled: whether neurons see each other between their activation and the down projection, through a norm say.
        slots: where the neurons lie, the down projection's last.
    """

    holder: str
    down: str
    neurons: int
    experts: int
    width: int
    gated: bool
    coupled: bool
    slots: tuple[Slot, ...]


@dataclasses.dataclass(frozen=True)
class Linear:
    """A projection from `inputs` to `outputs` features: a linear layer, a transposed one, or a 1 x 1 convolution."""

    name: str
    inputs: int
    outputs: int
    input_axis: int
    output_axis: int
    has_bias: bool


def as_linear(module: nn.Module, name: str) -> Linear | None:
    """The projection that `module` is, or None.

    A wrapper with one linear layer of its own (one that clips values, say) counts as that layer.
    """
    has_bias = getattr(module, "bias", None) is not None
    if isinstance(module, Conv1D):
        inputs, outputs = module.weight.shape
        return Linear(name, inputs, outputs, input_axis=0, output_axis=1, has_bias=has_bias)
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        if module.groups != 1 or set(module.kernel_size) != {1}:
            return None
        return Linear(name, module.in_channels, module.out_channels, input_axis=1, output_axis=0, has_bias=has_bias)
    children = dict(module.named_children())
    if list(children) in (["linear"], ["base_layer"]):
        (key, inner), *_ = children.items()
        return as_linear(inner, f"{name}.{key}")
    # Quantised layers store packed weights, so that only these attributes tell their size.
    ins = getattr(module, "in_features", getattr(module, "infeatures", None))
    outs = getattr(module, "out_features", getattr(module, "outfeatures", None))
    if isinstance(ins, int) and isinstance(outs, int):
        return Linear(name, ins, outs, input_axis=1, output_axis=0, has_bias=has_bias)
    return None


def named_candidates(model: nn.Module) -> Iterator[Candidate]:
    """The blocks of `model` whose projections bear names of `PROJECTION_NAMES` and fit by their shapes."""
    for name, module in model.named_modules():
        experts = stacked_candidate(module, name)
        if experts is not None:
            yield experts
            continue
        if next(module.children(), None) is None:
            continue
        for ups, down in PROJECTION_NAMES:
            candidate = dense_candidate(module, name, ups, down)
            if candidate is not None:
                yield candidate
                break


def dense_candidate(holder: nn.Module, name: str, ups: Iterable[str], down: str) -> Candidate | None:
    """The block of these projections below `holder`, or None where one is missing or the shapes do not fit."""
    down_layer = _linear_below(holder, name, down)
    if down_layer is None:
        return None
    up_layers = [_linear_below(holder, name, up) for up in ups]
    if any(up is None for up in up_layers):
        return None
    layers = [up for up in up_layers if up is not None]
    neurons = down_layer.inputs
    if not neurons or any(up.outputs not in (neurons, 2 * neurons) or up.inputs != layers[0].inputs for up in layers):
        return None
    slots: list[Slot] = []
    for up in layers:
        # A projection of twice the width computes gate and up at once; both halves belong to the same neurons.
        for start in range(0, up.outputs, neurons):
            slots.append(Slot(f"{up.name}.weight", up.output_axis, start))
            if up.has_bias:
                slots.append(Slot(f"{up.name}.bias", 0, start))
    slots.append(Slot(f"{down_layer.name}.weight", down_layer.input_axis))
    return Candidate(
        holder=name,
        down=down_layer.name,
        neurons=neurons,
        experts=0,
        width=layers[0].inputs,
        gated=sum(up.outputs for up in layers) == 2 * neurons,
        coupled=_is_coupled(holder, neurons, layers[0].inputs),
        slots=tuple(slots),
    )


def stacked_candidate(module: nn.Module, name: str) -> Candidate | None:
    """The block of a module whose own parameters stack the projections of several experts, or None."""
    own = dict(module.named_parameters(recurse=False))
    down = own.get("down_proj")
    ups = [own[key] for key in ("gate_up_proj", "gate_proj", "up_proj") if key in own]
    if down is None or down.dim() != 3 or not ups or any(up.dim() != 3 for up in ups):
        return None
    experts = down.shape[0]
    total = sum(up.shape[1] for up in ups), sum(up.shape[2] for up in ups)
    transposed = _is_transposed(module, down.shape, ups)
    neuron_axis_of_down = 1 if transposed else 2
    neurons = down.shape[neuron_axis_of_down]
    up_axis = 3 - neuron_axis_of_down
    outputs = total[up_axis - 1]
    if outputs not in (neurons, 2 * neurons):
        return None
    interleaved = not getattr(module, "is_concatenated", True)
    prefix = f"{name}." if name else ""
    slots: list[Slot] = []
    for key in ("gate_up_proj", "gate_proj", "up_proj"):
        if key not in own:
            continue
        parts = own[key].shape[up_axis] // neurons
        for part in range(parts):
            start, step = (part, parts) if interleaved else (part * neurons, 1)
            slots.append(Slot(f"{prefix}{key}", up_axis, start, step, stacked=True))
            if f"{key}_bias" in own:
                slots.append(Slot(f"{prefix}{key}_bias", 1, start, step, stacked=True))
    slots.append(Slot(f"{prefix}down_proj", neuron_axis_of_down, stacked=True))
    return Candidate(
        holder=name,
        down=name,
        neurons=experts * neurons,
        experts=experts,
        width=down.shape[up_axis],
        gated=outputs == 2 * neurons,
        coupled=False,
        slots=tuple(slots),
    )


def shaped_candidates(model: nn.Module) -> Iterator[tuple[str, tuple[str, ...], str, int]]:
    """Holders whose two or three projections fit by shape alone, whatever their names.

    Yields:
        The holder's name, the names of its up (and gate) projections and of its down projection, both below it, and
        the number of features that go in.
    """
    for name, module in model.named_modules():
        layers = [
            linear
            for key, child in module.named_children()
            # A pair of 1 x 1 convolutions is more often a bottleneck around a wider one than an MLP.
            if not isinstance(child, (nn.Conv1d, nn.Conv2d)) and (linear := as_linear(child, key)) is not None
        ]
        if len(layers) not in (2, 3):
            continue
        *ups, down = layers
        fits = all(up.outputs in (down.inputs, 2 * down.inputs) and up.inputs == down.outputs for up in ups)
        if fits and down.inputs > 1:
            yield name, tuple(up.name for up in ups), down.name, down.outputs


def _linear_below(holder: nn.Module, name: str, path: str) -> Linear | None:
    module = holder
    for part in path.split("."):
        child = getattr(module, part, None)
        if not isinstance(child, nn.Module):
            return None
        module = child
    return as_linear(module, f"{name}.{path}" if name else path)


def _is_transposed(module: nn.Module, down: torch.Size, ups: list[nn.Parameter]) -> bool:
    """Whether stacked weights are `[experts, inputs, outputs]` rather than `[experts, outputs, inputs]`."""
    declared = getattr(module, "is_transposed", None)
    if declared is not None:
        return bool(declared)
    if len(ups) == 1 and ups[0].shape[1] != ups[0].shape[2]:
        # With gate and up in one tensor only one reading of the shapes fits.
        if ups[0].shape[2] == 2 * down[1] and ups[0].shape[1] == down[2]:
            return True
        if ups[0].shape[1] == 2 * down[2] and ups[0].shape[2] == down[1]:
            return False
    for key in ("intermediate_dim", "intermediate_size", "expert_dim", "moe_intermediate_size"):
        if (size := getattr(module, key, None)) in down[1:] and down[1] != down[2]:
            return size == down[1]
    return False


def _is_coupled(holder: nn.Module, neurons: int, width: int) -> bool:
    """Whether something between the activation and the down projection mixes the neurons of a block.

    A norm over the neurons does, and so does a threshold that is computed from all of them.
    """
    if getattr(holder, "activation_sparsity", 0.0):
        return True
    if neurons == width:
        return False
    norms = (child for child in holder.children() if as_linear(child, "") is None)
    return any(
        parameter.dim() == 1 and parameter.numel() == neurons
        for norm in norms
        for parameter in norm.parameters(recurse=False)
    )
