from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmms_manu.answering.batching import LARGEST, BatchRunner, Footprint, automatic_batch_size
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.errors import ModelError, SettingError


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
    runs = BatchRunner().run(range(items), lambda following: size, fits_at_most(fitting, []), str)
    assert [result for some in runs for result in some] == [item * 10 for item in range(items)]


def test_out_of_memory_halves_the_batch_for_what_follows():
    tried: list[int] = []
    list(BatchRunner().run(range(12), lambda following: 8, fits_at_most(3, tried), str))
    assert tried == [8, 4, 2, 2, 2, 2, 2, 2]


def test_what_did_not_fit_says_nothing_about_other_items():
    tried: list[int] = []
    runner = BatchRunner()
    list(runner.run(range(8), lambda following: 8, fits_at_most(3, []), str))
    list(runner.run(range(8), lambda following: 8, fits_at_most(8, tried), str))
    assert tried == [8]


def test_a_single_item_that_does_not_fit_is_named():
    with pytest.raises(ModelError, match="number 0: out of memory with this one prompt"):
        list(BatchRunner().run(range(3), lambda following: 2, fits_at_most(0, []), lambda item: f"number {item}"))


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def work(batch):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(BatchRunner().run(range(3), lambda following: 2, work, str))


CPU = torch.device("cpu")


@given(st.integers(0, 5000), st.integers(1, 5000), st.integers(1, 1000), st.lists(st.integers(0, 2**34), min_size=1))
def test_the_automatic_batch_size_is_never_none_and_never_huge(shared, own, new, pictures):
    size = automatic_batch_size(
        Footprint(10**5, 10**5, 10.0, 10**5), CPU, shared=shared, own=own, new=new, pictures=pictures
    )
    assert 1 <= size <= min(LARGEST, len(pictures))


def test_a_model_that_fills_the_memory_answers_one_by_one():
    assert automatic_batch_size(Footprint(10**12, 10**12), CPU, own=10, new=10, pictures=[0] * 20) == 1


def test_large_pictures_make_small_batches(monkeypatch):
    monkeypatch.setattr("lmms_manu.answering.batching.free_memory", lambda device: 20 * 2**30)
    footprint = Footprint(cache=2**17, activations=2**18, pictures=15.0)
    small, large = 2**20, 92 * 2**20
    sizes = [
        automatic_batch_size(footprint, CPU, own=400, new=50, pictures=pictures)
        for pictures in ([small] * 64, [large] * 64, [large] * 3 + [small] * 61)
    ]
    assert sizes == [40, 6, 35]


def test_a_vision_tower_takes_more_memory_than_its_pictures(checkpoint):
    footprint = Footprint.of(checkpoint)
    vision = checkpoint.model.config.vision_config
    values = 3 * vision.patch_size**2
    inside = 2 * vision.intermediate_size + 8 * vision.hidden_size
    assert footprint.pictures == pytest.approx(inside / values + 1)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_batch_size_that_is_no_number_is_refused(value):
    with pytest.raises(SettingError, match="batch_size"):
        AnsweringSettings(batch_size=value)


@pytest.mark.parametrize(("value", "wanted"), [("auto", None), ("auto:4", None), (8, 8), ("3", 3)])
def test_a_batch_size_may_be_left_to_the_model(value, wanted):
    assert AnsweringSettings(batch_size=value).fixed_batch_size == wanted
