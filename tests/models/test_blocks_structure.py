"""What counts as an MLP block, for structures of every kind, and how to name those that are not recognised."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers.pytorch_utils import Conv1D

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import check_editable, neurons_of, verify_zeros, zero_neurons
from lmms_manu.errors import ModelError, SettingError
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.patterns import parse_patterns
from lmms_manu.models.projections import PROJECTION_NAMES
from lmms_manu.models.watch import force_to_zero, watch

WIDTH, NEURONS = 6, 10


class Attention(nn.Module):
    """What makes a layer a layer: it looks at other tokens."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden):
        return hidden + self.qkv(hidden.mean(dim=1, keepdim=True))


class Feedforward(nn.Module):
    """An MLP with projections of any names, made by `make(inputs, outputs)`."""

    fc1: Any
    fc2: Any
    gate_proj: Any
    up_proj: Any
    down_proj: Any

    def __init__(self, ups, down, make=nn.Linear, fused=False):
        super().__init__()
        self.ups, self.fused = ups, fused
        for name in ups:
            self.place(name, make(WIDTH, 2 * NEURONS if fused else NEURONS))
        self.place(down, make(NEURONS, WIDTH))
        self.down = down

    def place(self, path, module):
        holder, _, name = path.rpartition(".")
        if holder:
            self.add_module(holder, nn.Module())
        self.get_submodule(holder).add_module(name, module)

    def forward(self, hidden):
        parts = [self.get_submodule(name)(hidden) for name in self.ups]
        if self.fused:
            parts = list(parts[0].chunk(2, dim=-1))
        activation = torch.relu(parts[0]) if len(parts) == 1 else torch.tanh(parts[0]) * parts[1]
        return hidden + self.get_submodule(self.down)(activation)


class Normed(Feedforward):
    """Kosmos-2's kind: a norm over the neurons stands before the down projection."""

    def __init__(self):
        super().__init__(("fc1",), "fc2")
        self.ffn_layernorm = nn.LayerNorm(NEURONS)

    def forward(self, hidden):
        return hidden + self.fc2(self.ffn_layernorm(torch.relu(self.fc1(hidden))))


class Thresholded(Feedforward):
    """Gemma-3n's kind: only activations above a threshold count, which comes from all of them."""

    activation_sparsity = 0.5

    def __init__(self):
        super().__init__(("gate_proj", "up_proj"), "down_proj")

    def forward(self, hidden):
        gate = self.gate_proj(hidden)
        gate = torch.relu(gate - gate.mean(dim=-1, keepdim=True))
        return hidden + self.down_proj(gate * self.up_proj(hidden))


class Convolved(nn.Module):
    """A convolutional network's kind: 1 x 1 convolutions over a picture's channels."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(WIDTH, NEURONS, 1), nn.Conv2d(NEURONS, WIDTH, 1)

    def forward(self, hidden):
        picture = hidden.movedim(-1, 1).unsqueeze(-1)
        return hidden + self.fc2(torch.relu(self.fc1(picture))).squeeze(-1).movedim(1, -1)


class InterleavedExperts(nn.Module):
    """GPT-OSS's kind: gate and up alternate, weights are transposed, and there are biases."""

    is_transposed, is_concatenated, experts = True, False, 3

    def __init__(self):
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.empty(self.experts, WIDTH, 2 * NEURONS))
        self.gate_up_proj_bias = nn.Parameter(torch.empty(self.experts, 2 * NEURONS))
        self.down_proj = nn.Parameter(torch.empty(self.experts, NEURONS, WIDTH))
        self.down_proj_bias = nn.Parameter(torch.empty(self.experts, WIDTH))

    def forward(self, hidden, choice):
        result = torch.zeros_like(hidden)
        for expert in range(self.experts):
            rows = torch.where(choice == expert)[0]
            both = hidden[rows] @ self.gate_up_proj[expert] + self.gate_up_proj_bias[expert]
            gate, up = both[..., ::2], both[..., 1::2]
            result[rows] = ((up + 1) * torch.tanh(gate)) @ self.down_proj[expert] + self.down_proj_bias[expert]
        return result


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(WIDTH, InterleavedExperts.experts)
        self.experts = InterleavedExperts()

    def forward(self, hidden):
        flat = hidden.reshape(-1, WIDTH)
        return hidden + self.experts(flat, self.router(flat).argmax(dim=-1)).view_as(hidden)


class ListedMixture(nn.Module):
    """The kind of models with code of their own: experts are modules in a list."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(WIDTH, 2)
        self.experts = nn.ModuleList(Feedforward(("gate_proj", "up_proj"), "down_proj") for _ in range(2))

    def forward(self, hidden):
        flat = hidden.reshape(-1, WIDTH)
        choice = self.gate(flat).argmax(dim=-1)
        result = torch.zeros_like(flat)
        for number, expert in enumerate(self.experts):
            rows = torch.where(choice == number)[0]
            result[rows] = expert(flat[rows])
        return result.view_as(hidden)


class Layer(nn.Module):
    def __init__(self, mlp):
        super().__init__()
        self.attention, self.mlp = Attention(), mlp

    def forward(self, hidden):
        return self.mlp(self.attention(hidden))


def model_of(*mlps, seed=0):
    """A language model of these MLPs, one a layer, with random weights."""
    model: Any = nn.Module()
    model.layers = nn.ModuleList(Layer(mlp) for mlp in mlps)
    model.head = nn.Linear(WIDTH, 3)
    model.forward = lambda hidden: model.head(nn.Sequential(*model.layers)(hidden))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def assert_zeroing_equals_forcing(model, patterns=None, every=3):
    blocks = find_mlp_blocks(model, patterns)
    mask = NeuronMask.of_blocks(blocks, [torch.arange(0, block.neurons, every) for block in blocks])
    hidden = torch.randn(2, 7, WIDTH, generator=torch.Generator().manual_seed(1))
    check_editable(model, blocks)
    with torch.no_grad():
        plain = model(hidden)
        with watch(model, blocks, force_to_zero(mask.in_order(blocks))):
            forced = model(hidden)
        zero_neurons(model, blocks, mask)
        verify_zeros(model, blocks, mask)
        assert torch.equal(model(hidden), forced)
    assert not torch.allclose(forced, plain)
    return blocks


@pytest.mark.parametrize(("ups", "down"), PROJECTION_NAMES)
@pytest.mark.parametrize("make", [nn.Linear, lambda inputs, outputs: Conv1D(outputs, inputs)], ids=["linear", "conv1d"])
def test_projections_of_every_known_name_are_found(ups, down, make):
    (block,) = assert_zeroing_equals_forcing(model_of(Feedforward(ups, down, make)))
    assert block.neurons == NEURONS
    assert block.kind == ("gated" if len(ups) == 2 else "plain")
    assert len(block.slots) == 2 * len(ups) + 1


@pytest.mark.parametrize("names", [("gate_up_proj", "down_proj"), ("w12", "w3"), ("fc1", "fc2")])
def test_a_fused_gate_and_up_is_recognised_by_its_width(names):
    (block,) = assert_zeroing_equals_forcing(model_of(Feedforward(names[:1], names[1], fused=True)))
    assert (block.kind, block.neurons, len(block.slots)) == ("gated", NEURONS, 5)


@pytest.mark.parametrize("mlp", [Normed, Thresholded])
def test_neurons_that_see_each_other_are_pruned_through_the_down_projection_alone(mlp):
    (block,) = assert_zeroing_equals_forcing(model_of(mlp()))
    assert block.coupled
    assert [slot.parameter for slot in block.slots] == [f"{block.down}.weight"]


def test_convolutions_of_one_pixel_are_projections():
    (block,) = assert_zeroing_equals_forcing(model_of(Convolved()))
    assert (block.kind, block.neurons) == ("plain", NEURONS)


def test_interleaved_transposed_experts_with_biases():
    model = model_of(Mixture())
    (block,) = assert_zeroing_equals_forcing(model)
    assert (block.experts, block.neurons, len(block.slots)) == (3, 30, 5)
    gate = next(slot for slot in block.slots if slot.parameter.endswith("gate_up_proj"))
    zero = neurons_of(model.get_parameter(gate.parameter), block, gate).eq(0).all(dim=-1).flatten()
    assert zero.nonzero().flatten().tolist() == list(range(0, 30, 3))


def test_experts_in_a_list_report_the_tokens_that_they_see():
    model = model_of(ListedMixture(), seed=2)
    blocks = assert_zeroing_equals_forcing(model)
    assert [block.name for block in blocks] == ["layers.0.mlp.experts.0", "layers.0.mlp.experts.1"]
    hidden = torch.randn(2, 7, WIDTH, generator=torch.Generator().manual_seed(0))
    rows: dict[int, list[int]] = {}
    with torch.no_grad(), watch(model, blocks, lambda index, _, tokens, __: rows.update({index: tokens.tolist()})):
        model(hidden)
        choice = model.layers[0].mlp.gate(model.layers[0].attention(hidden).reshape(-1, WIDTH)).argmax(dim=-1)
    assert rows == {number: (choice == number).nonzero().flatten().tolist() for number in (0, 1)}


def test_a_list_of_the_parts_of_a_layer_is_no_list_of_experts():
    layer = nn.Module()
    layer.parts = nn.ModuleList([Attention(), Feedforward(("wi",), "wo")])
    layer.forward = nn.Sequential(*layer.parts)
    model: Any = nn.Module()
    model.layers = nn.ModuleList([layer])
    model.forward = layer.forward
    (block,) = find_mlp_blocks(model)
    assert (block.name, block.layer, block.routed) == ("layers.0.parts.1", 0, False)


def test_a_pair_of_projections_outside_a_layer_is_no_block():
    model = model_of(Feedforward(("fc1",), "fc2"))
    model.merger = nn.ModuleList([Feedforward(("fc1",), "fc2")])
    model.pooling_head = Layer(Feedforward(("fc1",), "fc2"))
    assert [block.name for block in find_mlp_blocks(model)] == ["layers.0.mlp"]


def test_widths_that_do_not_fit_are_no_block():
    mlp = Feedforward(("fc1",), "fc2")
    mlp.fc2 = nn.Linear(NEURONS + 1, WIDTH)
    with pytest.raises(ModelError, match="No MLP block was recognised in the language tower"):
        find_mlp_blocks(model_of(mlp))


def test_an_unknown_structure_is_shown_with_patterns_to_copy():
    model = model_of(*(Feedforward(("expand",), "contract") for _ in range(2)))
    with pytest.raises(ModelError) as caught:
        find_mlp_blocks(model)
    message = str(caught.value)
    assert "language:layers.0.mlp:expand:contract" in message
    assert "language:layers.1.mlp:expand:contract" in message
    pattern = message.rpartition("mlp_blocks=")[2]
    assert pattern == "language:layers.*.mlp:expand:contract"
    blocks = assert_zeroing_equals_forcing(model, pattern)
    assert [(block.name, block.layer) for block in blocks] == [("layers.0.mlp", 0), ("layers.1.mlp", 1)]


def test_gated_blocks_can_be_named_by_hand():
    model = model_of(Feedforward(("a", "b"), "c"))
    (block,) = assert_zeroing_equals_forcing(model, "language:layers.*.mlp:a+b:c")
    assert block.kind == "gated"


def test_known_names_need_no_projections_in_a_pattern():
    model = model_of(*(Feedforward(("fc1",), "fc2") for _ in range(3)))
    assert [block.name for block in find_mlp_blocks(model, "language:layers.1.mlp")] == ["layers.1.mlp"]


@pytest.mark.parametrize("text", ["language", "language:a:b", "language:a:b:c:d", "language::b:c"])
def test_a_pattern_of_another_form_is_refused(text):
    with pytest.raises(SettingError, match="TOWER:HOLDER"):
        parse_patterns(text)


def test_a_pattern_of_another_tower_is_refused():
    with pytest.raises(SettingError, match="language"):
        parse_patterns("langage:a:b:c")


@pytest.mark.parametrize("second", ["language:layers.0.mlp", "vision:layers.0.mlp"])
def test_a_block_that_two_patterns_name_is_refused(second):
    model = model_of(*(Feedforward(("fc1",), "fc2") for _ in range(2)))
    with pytest.raises(SettingError, match=r"names layers\.0\.mlp\.fc2 twice"):
        find_mlp_blocks(model, f"language:layers.*.mlp;{second}")


def test_a_pattern_that_matches_nothing_says_so():
    model = model_of(Feedforward(("fc1",), "fc2"))
    with pytest.raises(ModelError, match="no module is named 'blocks"):
        find_mlp_blocks(model, "language:blocks.*:fc1:fc2")
    with pytest.raises(ModelError, match=r"layers\.0\.mlp has no such projections.*fc1 \(Linear\)"):
        find_mlp_blocks(model, "language:layers.*.mlp:up:down")


@settings(deadline=None, max_examples=25)
@given(st.sets(st.integers(0, NEURONS - 1)), st.sets(st.integers(0, NEURONS - 1)), st.integers(0, 3))
def test_any_mask_zeroes_exactly_its_neurons(first, second, seed):
    model = model_of(Feedforward(("gate_proj", "up_proj"), "down_proj"), Feedforward(("fc1",), "fc2"), seed=seed)
    blocks = find_mlp_blocks(model)
    mask = NeuronMask.of_blocks(blocks, [torch.tensor(sorted(chosen), dtype=torch.int64) for chosen in (first, second)])
    zero_neurons(model, blocks, mask)
    for block, chosen in zip(blocks, (first, second), strict=True):
        for slot in block.slots:
            weights = neurons_of(model.get_parameter(slot.parameter), block, slot).reshape(NEURONS, -1)
            assert set((weights == 0).all(dim=1).nonzero().flatten().tolist()) == chosen
