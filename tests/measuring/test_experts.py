"""All experts of a layer are measured at once, with the bits that each has by itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.tiny_architectures import TEXT, build, inputs_of

from lmms_manu.measuring.collector import BatchCollector
from lmms_manu.measuring.gathering import PerNeuron
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.statistics import MOMENTS, keeps_bits, reduce_activations, reduce_groups
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.watch import watch

CPU = torch.device("cpu")


@given(
    st.lists(st.integers(0, 70) | st.sampled_from([256, 300, 2500]), min_size=1, max_size=12),
    st.sampled_from([64, 192, 1408]),
    st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_groups_have_the_bits_that_each_has_alone(counts, neurons, dtype):
    z = torch.randn(sum(counts), neurons, generator=torch.Generator().manual_seed(sum(counts))).to(dtype)
    alone = [reduce_activations(MOMENTS, own, 0.1) for own in z.split(counts)]
    assert keeps_bits(neurons, CPU)
    assert torch.equal(reduce_groups(z, counts, 0.1), torch.stack(alone, 1))


def test_groups_of_any_width_are_summed_to_rounding():
    counts = [3, 0, 40, 1]
    z = torch.randn(44, 37)
    alone = torch.stack([reduce_activations(MOMENTS, own, 0.1) for own in z.split(counts)], 1)
    assert not keeps_bits(37, CPU)
    torch.testing.assert_close(reduce_groups(z, counts, 0.1), alone, rtol=1e-5, atol=1e-5)


class OneByOne(PerNeuron):
    """The same gathering, which takes no experts together."""

    def add_groups(self, *given):
        return False


@pytest.mark.parametrize("implementation", ["batched_mm", "grouped_mm"])
@pytest.mark.parametrize("padded", [False, True])
def test_experts_of_a_model_are_measured_together_as_one_by_one(implementation, padded, monkeypatch):
    """With the width of 64 that whole vectors have, and padding that is left out of every expert's observations."""
    monkeypatch.setitem(TEXT, "moe_intermediate_size", 64)
    model = build("qwen3_vl_moe")
    model.set_experts_implementation(implementation)
    inputs = inputs_of("qwen3_vl_moe", model, picture=False)
    if padded:
        inputs["attention_mask"][0, :4] = 0
    blocks = tuple(block for block in find_mlp_blocks(model) if block.experts)
    counted = inputs["attention_mask"].bool().flatten()
    found = []
    for kind in (PerNeuron, OneByOne):
        gathering = kind(NeuronLayout.of(blocks))
        collector = BatchCollector(blocks, inputs, counted, gathering, None, torch.float32)
        with torch.inference_mode(), watch(model, blocks, collector):
            model(**inputs)
        found.append(torch.stack(collector.values()))
    assert torch.equal(*found)
    assert found[0][:, 0].sum() > 0
    assert all(keeps_bits(block.neurons_per_expert, CPU) for block in blocks), "else both ways would be one"
