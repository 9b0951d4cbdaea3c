"""MLP blocks are found by structure, and their activations can be read and replaced."""

from __future__ import annotations

import pytest
import torch
from support.tiny_models import llava_inputs, tiny_llava

from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.watch import force_to_zero, watch


@pytest.fixture(scope="module")
def llava():
    return tiny_llava()


def test_language_layers_come_first_and_both_towers_are_ordered_by_depth(llava):
    blocks = find_mlp_blocks(llava)
    assert [(block.tower, block.layer) for block in blocks] == [
        ("language", 0),
        ("language", 1),
        ("language", 2),
        ("vision", 0),
        ("vision", 1),
        ("vision", 2),
    ]
    assert {(block.tower, block.kind, block.neurons) for block in blocks} == {
        ("language", "gated", 40),
        ("vision", "plain", 24),
    }


@pytest.mark.parametrize(
    ("feature_layer", "kept"), [(-1, 4), (-2, 3), (-3, 2), (2, 2), ([1, 3], 3), ([-4, -2], 3), (4, 4)]
)
def test_vision_layers_behind_the_feature_layer_are_left_out(feature_layer, kept):
    blocks = find_mlp_blocks(tiny_llava(vision_feature_layer=feature_layer))
    assert [block.layer for block in blocks if block.tower == "vision"] == list(range(kept))


def test_the_projector_belongs_to_neither_tower(llava):
    assert not any("projector" in block.name for block in find_mlp_blocks(llava))


def test_activations_are_the_inputs_of_the_down_projections(llava):
    blocks = find_mlp_blocks(llava)
    seen: dict[int, torch.Tensor] = {}
    expected: dict[int, torch.Tensor] = {}
    handles = [
        llava.get_submodule(block.down).register_forward_pre_hook(
            lambda _, arguments, index=index: expected.__setitem__(index, arguments[0])
        )
        for index, block in enumerate(blocks)
    ]

    def callback(block_index, activations, rows, columns):
        assert rows is None
        assert columns == slice(0, blocks[block_index].neurons)
        seen[block_index] = activations

    with watch(llava, blocks, callback), torch.no_grad():
        llava(**llava_inputs())
    for handle in handles:
        handle.remove()
    assert set(seen) == set(range(len(blocks)))
    for index, block in enumerate(blocks):
        assert torch.equal(seen[index], expected[index].reshape(-1, block.neurons))


def test_the_vision_tower_does_not_run_on_text(llava):
    blocks = find_mlp_blocks(llava)
    seen = set()
    with watch(llava, blocks, lambda index, *_: seen.add(index)), torch.no_grad():
        llava(**llava_inputs(picture=False))
    assert {blocks[index].tower for index in seen} == {"language"}


def test_watching_ends_with_its_context_even_after_an_error(llava):
    blocks = find_mlp_blocks(llava)

    def fail(*_):
        raise ArithmeticError("no")

    with pytest.raises(ArithmeticError, match="no"), watch(llava, blocks, fail):
        llava(**llava_inputs())
    llava(**llava_inputs())


def test_forced_activations_change_the_logits(llava):
    blocks = find_mlp_blocks(llava)
    everything = [torch.arange(block.neurons) for block in blocks]
    with torch.no_grad():
        plain = llava(**llava_inputs()).logits
        with watch(llava, blocks, force_to_zero(everything)):
            forced = llava(**llava_inputs()).logits
    assert not torch.allclose(plain, forced)
