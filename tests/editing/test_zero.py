"""Zeroed weights compute what activations forced to zero would, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.tiny_models import llava_inputs, tiny_llava

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import check_editable, neurons_of, verify_zeros, zero_neurons
from lmms_manu.errors import DataError, ModelError
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.watch import force_to_zero, watch


def every_third(blocks):
    return NeuronMask.of_blocks(blocks, [torch.arange(0, block.neurons, 3) for block in blocks])


@pytest.mark.parametrize("picture", [True, False])
@pytest.mark.parametrize("tower", ["language", "vision", "both"])
def test_logits_equal_those_with_the_activations_forced_to_zero(tower, picture):
    model = tiny_llava()
    blocks = [block for block in find_mlp_blocks(model) if tower in (block.tower, "both")]
    mask = every_third(blocks)
    inputs = llava_inputs(picture=picture)
    with torch.no_grad():
        with watch(model, blocks, force_to_zero(mask.in_order(blocks))):
            forced = model(**inputs).logits
        zero_neurons(model, blocks, mask)
        assert torch.equal(model(**inputs).logits, forced)


def test_every_weight_of_a_pruned_neuron_is_zero_and_no_other_weight_changes():
    model, original = tiny_llava(), tiny_llava()
    blocks = find_mlp_blocks(model)
    mask = every_third(blocks)
    assert zero_neurons(model, blocks, mask) == mask.count
    verify_zeros(model, blocks, mask)
    touched = {slot.parameter for block in blocks for slot in block.slots}
    for name, parameter in model.named_parameters():
        if name not in touched:
            assert torch.equal(parameter, original.get_parameter(name))
    for block, indices in zip(blocks, mask.in_order(blocks), strict=True):
        kept = torch.ones(block.neurons, dtype=torch.bool)
        kept[indices] = False
        for slot in block.slots:
            now = neurons_of(model.get_parameter(slot.parameter), block, slot)
            before = neurons_of(original.get_parameter(slot.parameter), block, slot)
            assert not now[indices].any()
            assert torch.equal(now[kept], before[kept])


def test_biases_of_plain_and_gated_blocks_are_among_the_weights():
    blocks = find_mlp_blocks(tiny_llava())
    assert [len(block.slots) for block in blocks if block.tower == "vision"] == [3, 3, 3]
    assert [len(block.slots) for block in blocks if block.tower == "language"] == [5, 5, 5]


def test_a_lost_edit_is_noticed():
    model = tiny_llava()
    blocks = find_mlp_blocks(model)
    mask = every_third(blocks)
    with pytest.raises(ModelError, match="edit was lost"):
        verify_zeros(model, blocks, mask)


def test_a_mask_for_other_blocks_is_refused():
    model = tiny_llava()
    blocks = find_mlp_blocks(model)
    with pytest.raises(DataError, match="another architecture"):
        zero_neurons(model, blocks, every_third(blocks[:-1]))


def test_plain_weights_can_be_edited():
    model = tiny_llava()
    check_editable(model, find_mlp_blocks(model))


def test_weights_without_values_are_refused():
    whole: Any = tiny_llava()
    model = whole.to("meta")
    with pytest.raises(ModelError, match="meta device"):
        check_editable(model, find_mlp_blocks(model))


def test_weights_of_low_precision_are_refused_and_the_quantisation_is_named():
    model = tiny_llava()
    blocks = find_mlp_blocks(model)
    down = model.get_submodule(blocks[0].down)
    down.weight.data = down.weight.to(torch.float8_e4m3fn)
    with pytest.raises(ModelError, match="float8"):
        check_editable(model, blocks)
    model.config.quantization_config = {"quant_method": "fp8"}
    with pytest.raises(ModelError, match="quantised with fp8"):
        check_editable(model, blocks)


def test_a_checkpoint_that_was_dequantised_on_loading_can_be_edited():
    model = tiny_llava()
    model.config.quantization_config = {"quant_method": "compressed-tensors"}
    check_editable(model, find_mlp_blocks(model))


def test_weights_shared_between_blocks_are_refused():
    model = tiny_llava()
    blocks = find_mlp_blocks(model)
    first, second = (model.get_submodule(block.down) for block in blocks[:2])
    second.weight = first.weight
    with pytest.raises(ModelError, match="share the weight"):
        check_editable(model, blocks)


def test_packed_weights_are_refused():
    model = tiny_llava()
    blocks = find_mlp_blocks(model)
    packed: Any = torch.nn.Module()
    packed.register_buffer("qweight", torch.zeros(16, 5, dtype=torch.int32))
    packed.in_features, packed.out_features, packed.bias = 40, 16, None
    model.model.language_model.layers[0].mlp.down_proj = packed
    assert find_mlp_blocks(model) != ()
    with pytest.raises(ModelError, match="packed form"):
        check_editable(model, blocks)
