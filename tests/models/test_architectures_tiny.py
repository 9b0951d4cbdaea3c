"""What holds for LLaVA holds for every architecture: tiny models of many types, with random weights."""

from __future__ import annotations

import pytest
import torch
from support.tiny_architectures import ARCHITECTURES, build, inputs_of

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import check_editable, verify_zeros, zero_neurons
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.projections import named_candidates
from lmms_manu.models.towers import TowerMap
from lmms_manu.models.watch import force_to_zero, watch

REQUIRED = {
    "llava",
    "llava_next",
    "llava_onevision",
    "idefics2",
    "idefics3",
    "smolvlm",
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "qwen3_vl_moe",
    "internvl",
    "gemma3",
    "mllama",
    "paligemma",
    "mistral3",
}
every_type = pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))


def test_at_least_the_common_architectures_are_covered():
    assert set(ARCHITECTURES) >= REQUIRED


@every_type
def test_zeroed_weights_compute_what_activations_forced_to_zero_do(model_type):
    model = build(model_type)
    blocks = find_mlp_blocks(model)
    mask = NeuronMask.of_blocks(blocks, [torch.arange(0, block.neurons, 3) for block in blocks])
    check_editable(model, blocks)
    samples = [inputs_of(model_type, model, picture) for picture in (True, False)]
    with torch.no_grad():
        plain = [model(**inputs).logits for inputs in samples]
        with watch(model, blocks, force_to_zero(mask.in_order(blocks))):
            forced = [model(**inputs).logits for inputs in samples]
        zero_neurons(model, blocks, mask)
        verify_zeros(model, blocks, mask)
        for inputs, before, expected in zip(samples, plain, forced, strict=True):
            logits = model(**inputs).logits
            assert torch.equal(logits, expected)
            assert not torch.allclose(logits, before)


@every_type
def test_activations_are_seen_in_both_towers_with_a_picture_and_in_one_without(model_type):
    model = build(model_type)
    blocks = find_mlp_blocks(model)
    for picture in (True, False):
        inputs = inputs_of(model_type, model, picture)
        tokens = inputs["input_ids"].numel()
        rows = torch.zeros(len(blocks))

        def callback(index, activations, positions, columns, rows=rows, tokens=tokens):
            block = blocks[index]
            assert activations.shape[1] == columns.stop - columns.start == block.neurons_per_expert
            assert columns.start % block.neurons_per_expert == 0
            assert positions is None or (activations.shape[0] == positions.numel() and positions.max() < tokens)
            rows[index] += activations.shape[0]

        with watch(model, blocks, callback), torch.no_grad():
            model(**inputs)
        for block, count in zip(blocks, rows.tolist(), strict=True):
            if block.tower == "language":
                # Each token goes to two of the experts; layers that only look at pictures do not run on text.
                expected = tokens * (2 if block.routed else 1)
                assert count == expected or (model_type == "mllama" and count == 0 and not picture)
            elif "video" not in block.name:
                assert (count > 0) == picture


@every_type
def test_the_model_reads_the_vision_layers_that_are_kept_and_no_others(model_type):
    model = build(model_type)
    kept = {block.down for block in find_mlp_blocks(model) if block.tower == "vision"}
    model(**inputs_of(model_type, model, picture=True)).logits.sum().backward()
    candidates = list(named_candidates(model))
    towers = TowerMap(model, candidates)
    for candidate in candidates:
        if towers.tower_of(candidate.holder, candidate.width) == "vision":
            gradient = model.get_parameter(candidate.slots[-1].parameter).grad
            is_read = gradient is not None and bool(gradient.any())
            assert is_read == (candidate.down in kept), candidate.holder


def test_a_tower_for_videos_beside_the_one_for_pictures_is_left_out():
    names = [block.name for block in find_mlp_blocks(build("video_llava")) if block.tower == "vision"]
    assert names
    assert all("image_tower" in name for name in names)
