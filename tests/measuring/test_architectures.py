"""Measuring works on every architecture that neurons are found in."""

import pytest
import torch
from support.tiny_architectures import ARCHITECTURES, build, inputs_of

from lmms_manu.measuring.collector import BatchCollector
from lmms_manu.measuring.gathering import PerNeuron
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.observations import token_rows
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.watch import watch


def measured(model, inputs):
    blocks = find_mlp_blocks(model)
    counted = token_rows(inputs["attention_mask"], "all")
    vision = getattr(model.config, "vision_config", None)
    gathering = PerNeuron(NeuronLayout.of(blocks))
    patch_size = getattr(vision, "patch_size", None)
    collector = BatchCollector(blocks, inputs, counted, gathering, patch_size, torch.float32)
    with torch.inference_mode(), watch(model, blocks, collector):
        model(**inputs)
    return list(zip(blocks, collector.values(), strict=True))


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_each_token_is_observed_once_per_neuron_and_expert_that_sees_it(model_type):
    model = build(model_type)
    inputs = inputs_of(model_type, model, False)
    inputs["attention_mask"][0, 0] = 0
    tokens = int(inputs["attention_mask"].sum())
    for block, values in measured(model, inputs):
        count = values[0]
        assert values.isfinite().all()
        if block.tower == "vision":
            assert not count.any()
        elif block.experts:
            per_expert = count.view(block.experts, -1)[:, 0]
            assert int(per_expert.sum()) % tokens == 0
            assert int(per_expert.sum()) > 0
        elif model_type != "mllama" or block.layer not in model.config.text_config.cross_attention_layers:
            # Mllama leaves out the layers that look at the picture where there is none.
            assert set(count.tolist()) == {tokens}


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_a_picture_is_observed_in_both_towers(model_type):
    model = build(model_type)
    for block, values in measured(model, inputs_of(model_type, model, True)):
        if "video_tower" in block.name:
            continue
        count, absolute, *_ = values
        assert values.isfinite().all()
        assert bool(count.any()), block.name
        assert bool(absolute.any()), block.name
