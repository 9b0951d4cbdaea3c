from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.architectures import load_script
from transformers import CONFIG_MAPPING

from lmms_manu.answering.batching import LARGEST, Footprint, HalvingBatches, automatic_batch_size
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.errors import ModelError, SettingError

architectures = load_script()


def footprint_of(model_type: str, device: str = "cuda") -> Footprint:
    """The footprint of a type as its configuration has it by default, in half precision."""
    config = CONFIG_MAPPING[model_type](**architectures.SETTINGS.get(model_type, {}))
    model = SimpleNamespace(config=config, dtype=torch.bfloat16)
    checkpoint: Any = SimpleNamespace(model=model, device=torch.device(device))
    return Footprint.of(checkpoint)


def fits_at_most(count: int, tried: list[int]):
    def work(batch):
        tried.append(len(batch))
        if len(batch) > count:
            raise torch.OutOfMemoryError("no room")
        return [item * 10 for item in batch]

    return work


@settings(max_examples=15)
@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 20))
def test_every_item_is_worked_on_once_and_in_order_whatever_fits(items, size, fitting):
    runs = HalvingBatches().run(range(items), lambda following: size, fits_at_most(fitting, []), str)
    assert [result for some in runs for result in some] == [item * 10 for item in range(items)]


def test_out_of_memory_halves_the_batch_for_what_follows():
    tried: list[int] = []
    list(HalvingBatches().run(range(12), lambda following: 8, fits_at_most(3, tried), str))
    assert tried == [8, 4, 2, 2, 2, 2, 2, 2]


def test_what_did_not_fit_says_nothing_about_other_items():
    tried: list[int] = []
    runner = HalvingBatches()
    list(runner.run(range(8), lambda following: 8, fits_at_most(3, []), str))
    list(runner.run(range(8), lambda following: 8, fits_at_most(8, tried), str))
    assert tried == [8]


def test_a_single_item_that_does_not_fit_is_named():
    with pytest.raises(ModelError, match="number 0: out of memory with this one prompt"):
        list(HalvingBatches().run(range(3), lambda following: 2, fits_at_most(0, []), lambda item: f"number {item}"))


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def work(batch):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(HalvingBatches().run(range(3), lambda following: 2, work, str))


CPU = torch.device("cpu")


@given(st.integers(0, 5000), st.integers(1, 5000), st.integers(1, 1000), st.lists(st.integers(0, 2**34), min_size=1))
def test_the_automatic_batch_size_is_never_none_and_never_huge(shared, own, new, pictures):
    size = automatic_batch_size(
        Footprint(10**5, 10**5, 10.0, 10**5), CPU, shared=shared, own=own, new=new, pictures=pictures
    )
    assert 1 <= size <= min(LARGEST, len(pictures))


def test_a_model_that_fills_the_memory_answers_one_by_one():
    assert automatic_batch_size(Footprint(10**12, 10**12), CPU, own=10, new=10, pictures=[0] * 20) == 1


def test_a_cpu_reads_few_long_prompts_at_once_unless_their_answers_are_long():
    footprint, pictures = Footprint(cache=1, activations=1), [0] * 99

    def size(own, *, only_read):
        return automatic_batch_size(footprint, CPU, own=own, new=50, pictures=pictures, only_read=only_read)

    assert [size(own, only_read=True) for own in (30, 300, 1500)] == [LARGEST, 6, 1]
    assert [size(own, only_read=False) for own in (30, 300, 1500)] == [LARGEST, 54, 10]


def test_large_pictures_make_small_batches(monkeypatch):
    monkeypatch.setattr("lmms_manu.answering.batching.free_memory", lambda device: 20 * 2**30)
    footprint = Footprint(cache=2**17, activations=2**18, pictures=15.0)
    small, large = 2**20, 92 * 2**20
    sizes = [
        automatic_batch_size(footprint, CPU, own=400, new=50, pictures=pictures)
        for pictures in ([small] * 64, [large] * 64, [large] * 3 + [small] * 61)
    ]
    assert sizes == [40, 6, 35]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_type_of_model_has_a_footprint(device):
    for model_type in architectures.MODEL_TYPES:
        # It acts, and has no language model of its own to answer with.
        if model_type != "pi0":
            footprint = footprint_of(model_type, device)
            numbers = dataclasses.astuple(footprint)
            assert all(isinstance(number, (int, float)) and number >= 0 for number in numbers), model_type
            assert footprint.cache > 0 < footprint.activations, model_type


def test_footprints_are_those_of_the_models():
    # LLaVA-1.5: 32 layers of 32 heads of 128, keys and values of two bytes each.
    assert footprint_of("llava").cache == 32 * 32 * 128 * 2 * 2
    # Gemma 4: of six layers five have heads of 256 and one has heads of 512.
    layers = [256, 256, 256, 256, 256, 512] * 5
    assert footprint_of("gemma4").cache == sum(layers) * 4 * 2 * 2
    # Qwen2-VL: patches of 14 x 14 in two frames, in a tower of width 1280 whose MLP is four times as wide.
    values = 3 * 14 * 14 * 2
    assert footprint_of("qwen2_vl").pictures == pytest.approx((2 * 5120 + 8 * 1280) * 2 / (4 * values) + 0.5)
    # Qwen3-VL-MoE: four experts of a width of 1408, three matrices each.
    assert footprint_of("qwen3_vl_moe").row == 4 * 3 * 2048 * 1408 * 2
    assert footprint_of("qwen3_vl_moe", "cpu").row == 0


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_batch_size_that_is_no_number_is_refused(value):
    with pytest.raises(SettingError, match="batch_size"):
        AnsweringSettings(batch_size=value)


@pytest.mark.parametrize(("value", "wanted"), [("auto", None), ("auto:4", None), (8, 8), ("3", 3)])
def test_a_batch_size_may_be_left_to_the_model(value, wanted):
    assert AnsweringSettings(batch_size=value).fixed_batch_size == wanted
