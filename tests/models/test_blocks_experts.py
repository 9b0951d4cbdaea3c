"""Neurons of experts: which tokens they see, under every way to compute them."""

from __future__ import annotations

import pytest
import torch
from support.tiny_architectures import build, inputs_of

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import neurons_of, verify_zeros, zero_neurons
from lmms_manu.errors import ModelError
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.watch import force_to_zero, watch

WITH_EXPERTS = ["aria", "minimax_m3_vl", "mistral_large4", "qwen3_5_moe", "qwen3_vl_moe"]
IMPLEMENTATIONS = ["eager", "batched_mm", "grouped_mm"]


def expert_blocks(model):
    return [block for block in find_mlp_blocks(model) if block.experts]


def collect(model, blocks, inputs):
    """For each block and expert the token positions and activations, in the order of positions."""
    seen: dict[tuple[int, int], list[tuple[torch.Tensor, torch.Tensor]]] = {}

    def callback(index, activations, rows, columns):
        expert = columns.start // blocks[index].neurons_per_expert
        seen.setdefault((index, expert), []).append((rows, activations))

    with watch(model, blocks, callback), torch.no_grad():
        model(**inputs)
    merged = {}
    for key, parts in seen.items():
        rows, activations = (torch.cat(columns) for columns in zip(*parts, strict=True))
        order = rows.argsort(stable=True)
        merged[key] = rows[order], activations[order]
    return merged


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("model_type", WITH_EXPERTS)
def test_each_expert_sees_the_tokens_that_the_router_sends_to_it(model_type, implementation):
    model = build(model_type)
    model.set_experts_implementation(implementation)
    blocks = expert_blocks(model)
    routed: dict[int, torch.Tensor] = {}
    handles = [
        model.get_submodule(block.down).register_forward_pre_hook(
            lambda _, arguments, index=index: routed.__setitem__(index, arguments[1])
        )
        for index, block in enumerate(blocks)
    ]
    seen = collect(model, blocks, inputs_of(model_type, model, picture=True))
    for handle in handles:
        handle.remove()
    assert {index for index, _ in seen} == set(range(len(blocks)))
    for index, block in enumerate(blocks):
        for expert in range(block.experts):
            tokens = (routed[index] == expert).any(dim=-1).nonzero().flatten()
            rows, _ = seen.get((index, expert), (torch.empty(0, dtype=torch.long), None))
            assert torch.equal(rows, tokens)


@pytest.mark.parametrize("model_type", WITH_EXPERTS)
def test_activations_do_not_depend_on_how_experts_are_computed(model_type):
    model = build(model_type)
    blocks = expert_blocks(model)
    inputs = inputs_of(model_type, model, picture=True)
    results = []
    for implementation in IMPLEMENTATIONS:
        model.set_experts_implementation(implementation)
        results.append(collect(model, blocks, inputs))
    for other in results[1:]:
        assert other.keys() == results[0].keys()
        for key, (rows, activations) in results[0].items():
            assert torch.equal(other[key][0], rows)
            torch.testing.assert_close(other[key][1], activations, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("model_type", WITH_EXPERTS)
def test_zeroed_experts_compute_what_activations_forced_to_zero_do(model_type, implementation):
    model = build(model_type)
    model.set_experts_implementation(implementation)
    blocks = find_mlp_blocks(model)
    mask = NeuronMask.of_blocks(blocks, [torch.arange(1, block.neurons, 4) for block in blocks])
    inputs = inputs_of(model_type, model, picture=True)
    with torch.no_grad():
        with watch(model, blocks, force_to_zero(mask.in_order(blocks))):
            forced = model(**inputs).logits
        zero_neurons(model, blocks, mask)
        assert torch.equal(model(**inputs).logits, forced)


def test_a_neuron_is_a_unit_of_one_expert():
    model = build("qwen3_vl_moe")
    blocks = find_mlp_blocks(model)
    block = next(block for block in blocks if block.experts)
    size = block.neurons_per_expert
    mask = NeuronMask({block.name: torch.tensor([size + 3])}, {each.name: each.neurons for each in blocks})
    zero_neurons(model, blocks, mask)
    verify_zeros(model, blocks, mask)
    for slot in block.slots:
        weights = neurons_of(model.get_parameter(slot.parameter), block, slot)
        assert weights.shape[:2] == (block.experts, size)
        zero = (weights == 0).flatten(2).all(dim=-1)
        assert zero.nonzero().tolist() == [[1, 3]]


def test_experts_in_a_fused_kernel_are_refused():
    model = build("qwen3_vl_moe")
    blocks = find_mlp_blocks(model)
    experts = model.get_submodule(next(block for block in blocks if block.experts).down)
    experts.forward = lambda hidden, *_: torch.zeros_like(hidden)
    inputs = inputs_of("qwen3_vl_moe", model, picture=False)
    with pytest.raises(ModelError, match="fused kernel"), torch.no_grad(), watch(model, blocks, lambda *_: None):
        model(**inputs)


def test_following_ends_with_an_error_in_the_callback():
    model = build("qwen3_vl_moe")
    blocks = find_mlp_blocks(model)
    inputs = inputs_of("qwen3_vl_moe", model, picture=False)

    def fail(*_):
        raise ArithmeticError("no")

    with pytest.raises(ArithmeticError, match="no"), watch(model, expert_blocks(model), fail):
        model(**inputs)
    assert torch._C._len_torch_function_stack() == 0
    assert collect(model, blocks, inputs)
