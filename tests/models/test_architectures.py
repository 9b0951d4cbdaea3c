"""Every image-text-to-text type of transformers: both towers are recognised, or the reason why not is on record."""

from __future__ import annotations

import pytest
from support.architectures import load_script


@pytest.fixture(scope="module")
def script():
    return load_script()


@pytest.fixture(scope="module")
def rows(script):
    return {row.model_type: row for row in script.survey()}


def test_every_type_is_surveyed(script, rows):
    assert set(rows) == set(script.MODEL_TYPES)
    assert len(rows) == 100


def test_every_type_can_be_built_and_has_language_blocks(rows):
    assert {row.model_type: row.error for row in rows.values() if not row.has("language")} == {}


def test_both_towers_are_found_but_for_the_recorded_exceptions(script, rows):
    incomplete = {row.model_type for row in rows.values() if not row.is_complete}
    assert incomplete == set(script.EXCEPTIONS)
    assert len(rows) - len(incomplete) == 90


def test_exceptions_have_a_reason_from_the_closed_list(script):
    assert set(script.EXCEPTIONS.values()) <= set(script.REASONS)


def test_blocks_have_unique_names_and_no_weight_belongs_to_two(rows):
    for row in rows.values():
        names = [block.name for block in row.blocks]
        assert len(set(names)) == len(names), row.model_type
        weights = [(slot.parameter, slot.start) for block in row.blocks for slot in block.slots]
        assert len(set(weights)) == len(weights), row.model_type


def test_parts_beside_and_between_the_towers_are_left_out(rows):
    words = ("audio", "merger", "projector", "connector", "resampler", "perceiver", "qformer", "adapter", "head.mlp")
    names = [block.name for row in rows.values() for block in row.blocks]
    assert [name for name in names if any(word in name for word in words)] == []


def test_layers_are_numbered_by_depth_within_each_tower(rows):
    for row in rows.values():
        for tower in ("language", "vision"):
            layers = [block.layer for block in row.blocks if block.tower == tower]
            assert layers == sorted(layers), row.model_type


@pytest.mark.parametrize(
    ("model_type", "layers"),
    [
        ("llava", 23),
        ("llava_onevision", 26),
        ("vipllava", 23),
        ("granite4_vision", 11),
        ("molmo2", 25),
        ("mllama", 40),
        ("paligemma", 27),
    ],
)
def test_vision_layers_count_up_to_the_last_that_is_read(rows, model_type, layers):
    blocks = rows[model_type].blocks
    assert len({block.layer for block in blocks if block.tower == "vision"}) == layers


def test_the_documented_table_is_what_the_code_finds(script, rows):
    assert script.render(list(rows.values())) == script.TABLE.read_text(encoding="utf-8"), (
        "run python docs/generate_architectures.py"
    )
