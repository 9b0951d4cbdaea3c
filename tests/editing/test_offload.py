"""Offloaded weights are pruned where they really are; the checkpoint that they come from stays as it is."""

from __future__ import annotations

import gc

import accelerate
import pytest
import torch
from support.tiny_architectures import build, inputs_of
from support.tiny_models import llava_inputs, tiny_llava
from transformers import LlavaForConditionalGeneration

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import check_editable, verify_zeros, zero_neurons
from lmms_manu.errors import ModelError
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.watch import force_to_zero, watch

CPU = torch.device("cpu")
DEVICE_MAP = {
    "model.vision_tower": "disk",
    "model.multi_modal_projector": "cpu",
    "model.language_model.embed_tokens": "cpu",
    "model.language_model.layers.0": "cpu",
    "model.language_model.layers.1": "disk",
    "model.language_model.layers.2": "disk",
    "model.language_model.norm": "cpu",
    "model.language_model.rotary_emb": "cpu",
    "lm_head": "cpu",
}


def every_third(blocks):
    return NeuronMask.of_blocks(blocks, [torch.arange(0, block.neurons, 3) for block in blocks])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    tiny_llava().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def expected():
    """Logits of the model as it is and of the pruned one, without any offloading."""
    model = tiny_llava()
    blocks = find_mlp_blocks(model)
    with torch.no_grad():
        plain = model(**llava_inputs()).logits
        zero_neurons(model, blocks, every_third(blocks))
        return plain, model(**llava_inputs()).logits


def from_pretrained(checkpoint, folder):
    return LlavaForConditionalGeneration.from_pretrained(
        checkpoint, device_map=DEVICE_MAP, offload_folder=str(folder)
    ).eval()


WAYS = {
    "from_pretrained to disk": from_pretrained,
    "to cpu memory": lambda _, folder: accelerate.cpu_offload(tiny_llava(), execution_device=CPU),
    "to disk": lambda _, folder: accelerate.disk_offload(tiny_llava(), str(folder), execution_device=CPU),
    "dispatched": lambda _, folder: accelerate.dispatch_model(
        tiny_llava(),
        {"model.vision_tower": "disk", "model.multi_modal_projector": "cpu"}
        | {"model.language_model": "disk", "lm_head": "cpu"},
        main_device="cpu",
        offload_dir=str(folder),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_logits_equal_those_of_the_model_pruned_without_offloading(way, checkpoint, expected, tmp_path):
    model = WAYS[way](checkpoint, tmp_path / "offload")
    blocks = find_mlp_blocks(model)
    mask = every_third(blocks)
    assert any(model.get_parameter(slot.parameter).is_meta for block in blocks for slot in block.slots)
    check_editable(model, blocks)
    with torch.no_grad():
        assert torch.equal(model(**llava_inputs()).logits, expected[0])
        zero_neurons(model, blocks, mask)
        verify_zeros(model, blocks, mask)
        assert torch.equal(model(**llava_inputs()).logits, expected[1])


def test_shared_weights_are_refused_where_both_are_offloaded(tmp_path):
    model = tiny_llava()
    blocks = find_mlp_blocks(model)
    first, second = (model.get_submodule(block.down) for block in blocks[:2])
    second.weight = first.weight
    accelerate.cpu_offload(model, execution_device=CPU)
    assert first.weight.is_meta
    with pytest.raises(ModelError, match="share the weight"):
        check_editable(model, blocks)


def test_an_unpruned_offloaded_model_is_noticed(checkpoint, tmp_path):
    model = from_pretrained(checkpoint, tmp_path)
    blocks = find_mlp_blocks(model)
    with pytest.raises(ModelError, match="edit was lost"):
        verify_zeros(model, blocks, every_third(blocks))


@pytest.mark.parametrize("offloaded", [True, False])
def test_the_checkpoint_on_disk_stays_as_it_was(checkpoint, tmp_path, offloaded):
    before = {file.name: file.read_bytes() for file in checkpoint.iterdir()}
    if offloaded:
        model = from_pretrained(checkpoint, tmp_path)
    else:
        model = LlavaForConditionalGeneration.from_pretrained(checkpoint)
    blocks = find_mlp_blocks(model)
    zero_neurons(model, blocks, every_third(blocks))
    assert {file.name: file.read_bytes() for file in checkpoint.iterdir()} == before


def test_pruning_twice_adds_up_and_cleans_up_after_itself(checkpoint, tmp_path):
    model = from_pretrained(checkpoint, tmp_path)
    blocks = find_mlp_blocks(model)
    sizes = {block.name: block.neurons for block in blocks}
    first = NeuronMask({block.name: torch.tensor([1]) for block in blocks}, sizes)
    second = NeuronMask({block.name: torch.tensor([2]) for block in blocks}, sizes)
    zero_neurons(model, blocks, first)
    zero_neurons(model, blocks, second)
    verify_zeros(model, blocks, first)
    verify_zeros(model, blocks, second)
    assert list(tmp_path.glob("edited-*"))
    del model
    gc.collect()
    assert not list(tmp_path.glob("edited-*"))


def test_an_offloaded_pruned_model_saves_as_a_pruned_one(checkpoint, expected, tmp_path):
    model = from_pretrained(checkpoint, tmp_path / "offload")
    blocks = find_mlp_blocks(model)
    zero_neurons(model, blocks, every_third(blocks))
    model.save_pretrained(tmp_path / "saved")
    loaded = LlavaForConditionalGeneration.from_pretrained(tmp_path / "saved").eval()
    with torch.no_grad():
        assert torch.equal(loaded(**llava_inputs()).logits, expected[1])


def test_offloaded_experts_are_watched_and_pruned(tmp_path):
    model = accelerate.disk_offload(build("qwen3_vl_moe"), str(tmp_path), execution_device=CPU)
    blocks = find_mlp_blocks(model)
    mask = every_third(blocks)
    inputs = inputs_of("qwen3_vl_moe", model, picture=True)
    with torch.no_grad():
        with watch(model, blocks, force_to_zero(mask.in_order(blocks))):
            forced = model(**inputs).logits
        zero_neurons(model, blocks, mask)
        assert torch.equal(model(**inputs).logits, forced)
