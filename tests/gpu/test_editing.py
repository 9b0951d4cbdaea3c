"""What a pruned model computes on a device: zeroed, removed, and with a part of it elsewhere."""

from __future__ import annotations

import pytest
import torch
from support.statistics import stacked

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.remove import remove_neurons
from lmms_manu.editing.zero import verify_zeros, zero_neurons
from lmms_manu.measuring.measure import measure
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder, to_device

QUICK = MeasureSettings(statistics_batch_size=4, statistics_cache=False)


def every_third(blocks):
    return NeuronMask.of_blocks(blocks, [torch.arange(0, block.neurons, 3) for block in blocks])


def logits_of(checkpoint, parts):
    examples = parts["forget", "multimodal"]
    inputs = PromptEncoder(checkpoint).process([each.text for each in examples], [each.pictures() for each in examples])
    with torch.inference_mode():
        logits = checkpoint.model(**to_device(inputs, checkpoint.device, checkpoint.model.dtype)).logits
    return logits[inputs["attention_mask"].bool().to(logits.device)].double().cpu()


def edited(checkpoint, edit):
    blocks = find_mlp_blocks(checkpoint.model)
    edit(checkpoint.model, blocks, every_third(blocks))
    return checkpoint


@pytest.mark.parametrize("edit", [zero_neurons, remove_neurons])
def test_logits_of_a_pruned_model_are_those_of_exact_arithmetic(load, parts, edit):
    right = logits_of(edited(load.exact(), zero_neurons), parts)
    torch.testing.assert_close(logits_of(edited(load(), edit), parts), right, rtol=1e-3, atol=1e-4)
    assert (right - logits_of(load(), parts)).abs().max() > 0.1


def test_logits_of_bfloat16_are_within_its_rounding(load, parts, exact):
    right = logits_of(exact, parts)
    assert (logits_of(load("bfloat16"), parts) - right).abs().mean() < 0.05 * right.std()


def test_weights_that_lie_elsewhere_are_measured_and_pruned_like_all_others(load, device, parts, tmp_path):
    """Beside a GPU in the memory of the machine, beside a CPU on disk."""
    main, elsewhere = ("cuda:0", "cpu") if device.type == "cuda" else ("cpu", "disk")
    device_map = {
        "model.vision_tower": elsewhere,
        "model.multi_modal_projector": main,
        "model.language_model.embed_tokens": main,
        "model.language_model.layers.0": elsewhere,
        "model.language_model.layers.1": main,
        "model.language_model.norm": main,
        "model.language_model.rotary_emb": main,
        "lm_head": main,
    }
    checkpoint = load(device_map=device_map, offload_folder=str(tmp_path))
    blocks = find_mlp_blocks(checkpoint.model)
    assert any(checkpoint.model.get_parameter(slot.parameter).is_meta for block in blocks for slot in block.slots)
    whole = load()
    apart, together = (
        measure(one, find_mlp_blocks(one.model), parts, QUICK, progress=False) for one in (checkpoint, whole)
    )
    torch.testing.assert_close(stacked(apart), stacked(together), rtol=1e-5, atol=1e-5)
    mask = every_third(blocks)
    zero_neurons(checkpoint.model, blocks, mask)
    verify_zeros(checkpoint.model, blocks, mask)
    expected = logits_of(edited(whole, zero_neurons), parts)
    torch.testing.assert_close(logits_of(checkpoint, parts), expected, rtol=1e-4, atol=1e-5)
