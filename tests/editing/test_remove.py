"""Removed neurons leave smaller matrices and the logits of zeroed ones."""

from __future__ import annotations

from typing import Any

import accelerate
import pytest
import torch
from support.models import llava_processor
from support.tiny_architectures import ARCHITECTURES, build, inputs_of
from support.tiny_models import llava_inputs, tiny_llava
from transformers import LlavaForConditionalGeneration

from lmms_manu.editing.changes import PrunedNeurons
from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.remove import check_removable, remove_neurons
from lmms_manu.editing.zero import zero_neurons
from lmms_manu.errors import ModelError
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.wrapping import wrap


def every_third(blocks):
    return NeuronMask.of_blocks(blocks, [torch.arange(0, block.neurons, 3) for block in blocks])


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_logits_equal_those_of_zeroed_weights(model_type):
    zeroed, removed = build(model_type), build(model_type)
    blocks = find_mlp_blocks(zeroed)
    mask = every_third(blocks)
    zero_neurons(zeroed, blocks, mask)
    before = parameters(removed)
    after = remove_neurons(removed, blocks, mask, multiple_of=1)
    assert parameters(removed) < before
    for picture in (True, False):
        inputs = inputs_of(model_type, zeroed, picture)
        with torch.no_grad():
            torch.testing.assert_close(removed(**inputs).logits, zeroed(**inputs).logits, rtol=1e-4, atol=1e-4)
    assert find_mlp_blocks(removed) == after


def test_exactly_the_pruned_neurons_are_removed():
    model = tiny_llava()
    blocks = find_mlp_blocks(model)
    mask = every_third(blocks)
    after = remove_neurons(model, blocks, mask, multiple_of=1)
    for old, new in zip(blocks, after, strict=True):
        assert new.neurons == old.neurons - mask.indices(old.name).numel()
        down: Any = model.get_submodule(new.down)
        assert down.weight.shape[1] == down.in_features == new.neurons


def test_a_checkpoint_knows_its_blocks_as_they_are_after_a_removal():
    checkpoint = wrap(tiny_llava(), llava_processor())
    mask = every_third(checkpoint.mlp_blocks)
    PrunedNeurons(mask, "remove").apply(checkpoint)
    assert checkpoint.mlp_blocks == find_mlp_blocks(checkpoint.model)
    assert [block.neurons for block in checkpoint.mlp_blocks] != list(mask.sizes.values())


def test_widths_stay_multiples_of_what_the_device_likes():
    model = tiny_llava()
    blocks = find_mlp_blocks(model)
    after = remove_neurons(model, blocks, every_third(blocks))
    assert [block.neurons for block in after] == [32, 32, 32, 16, 16, 16]


def test_a_block_may_lose_all_its_neurons(tmp_path):
    model, zeroed = tiny_llava(), tiny_llava()
    blocks = find_mlp_blocks(model)
    mask = NeuronMask({blocks[0].name: torch.arange(40)}, {block.name: block.neurons for block in blocks})
    zero_neurons(zeroed, blocks, mask)
    assert remove_neurons(model, blocks, mask)[0].neurons == 8, "no file or configuration holds a width of none"
    with torch.no_grad():
        torch.testing.assert_close(model(**llava_inputs()).logits, zeroed(**llava_inputs()).logits)
    with pytest.raises(ModelError, match="prune_mode=zero"):
        model.save_pretrained(tmp_path)


def test_a_tower_that_loses_all_its_neurons_is_saved_and_loaded(tmp_path):
    model = tiny_llava()
    blocks = find_mlp_blocks(model)
    every = {block.name: torch.arange(block.neurons) for block in blocks if block.tower == "language"}
    remove_neurons(model, blocks, NeuronMask(every, {block.name: block.neurons for block in blocks}))
    model.save_pretrained(tmp_path)
    loaded = LlavaForConditionalGeneration.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(loaded(**llava_inputs()).logits, model(**llava_inputs()).logits)


def test_layers_of_different_widths_cannot_be_saved(tmp_path):
    model = tiny_llava()
    blocks = find_mlp_blocks(model)
    remove_neurons(model, blocks, every_third(blocks), multiple_of=1)
    with pytest.raises(ModelError, match="prune_mode=zero"):
        model.save_pretrained(tmp_path)


def test_layers_of_one_width_are_saved_and_loaded_as_any_other(tmp_path):
    model = tiny_llava()
    blocks = find_mlp_blocks(model)
    language = {block.name: torch.arange(0, block.neurons, 5) for block in blocks if block.tower == "language"}
    remove_neurons(model, blocks, NeuronMask(language, {block.name: block.neurons for block in blocks}))
    assert model.config.text_config.intermediate_size == 32
    model.save_pretrained(tmp_path)
    loaded = LlavaForConditionalGeneration.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(loaded(**llava_inputs()).logits, model(**llava_inputs()).logits)


NOT_SAVED = {
    # A connector takes its width from the same setting, or not all layers are dense.
    "language": {"aria", "idefics2", "minimax_m3_vl", "mistral_large4", "qwen3_5_moe"},
    # The tower's head does, or a layer that is never read and so never pruned, or the setting is a ratio.
    "vision": {
        *("aya_vision", "cohere2_vision", "deepseek_vl", "gemma3", "llava_onevision", "paligemma"),
        *("llava", "llava_next", "llava_next_video", "video_llava", "vipllava"),
        *("glm46v", "glm4v", "qwen2_vl", "step3p7"),
    },
}


@pytest.mark.parametrize("tower", ["language", "vision"])
@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_a_model_is_saved_only_if_it_can_be_loaded(model_type, tower, tmp_path):
    model = build(model_type)
    blocks = find_mlp_blocks(model)
    pruned = {block.name: torch.arange(8) for block in blocks if block.tower == tower and not block.experts}
    remove_neurons(model, blocks, NeuronMask(pruned, {block.name: block.neurons for block in blocks}))
    try:
        model.save_pretrained(tmp_path)
    except ModelError:
        assert model_type in NOT_SAVED[tower]
        return
    assert model_type not in NOT_SAVED[tower]
    loaded = type(model).from_pretrained(tmp_path).eval()
    inputs = inputs_of(model_type, model, picture=True)
    with torch.no_grad():
        torch.testing.assert_close(loaded(**inputs).logits, model(**inputs).logits)


def test_offloaded_weights_are_refused(tmp_path):
    model = accelerate.disk_offload(tiny_llava(), str(tmp_path), execution_device=torch.device("cpu"))
    with pytest.raises(ModelError, match="prune_mode=zero"):
        check_removable(model, find_mlp_blocks(model))
