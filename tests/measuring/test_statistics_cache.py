import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from support.models import llava_model, save_llava

from lmms_manu.measuring.fingerprints import note_edits
from lmms_manu.measuring.measure import determinants_of, measure
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.measuring.statistics_cache import StatisticsCache
from lmms_manu.models.blocks import find_mlp_blocks

SUMS = torch.arange(10, dtype=torch.float64).reshape(5, 2)


@pytest.fixture
def cache(tmp_path):
    return StatisticsCache(tmp_path / "statistics")


def measured_parts(checkpoint, parts, **settings):
    """How many of the four parts had to be measured."""
    blocks = find_mlp_blocks(checkpoint.model)
    return measure(checkpoint, blocks, parts, MeasureSettings(**settings), progress=False).measured


def test_sums_come_back_as_they_were_stored(cache):
    cache.store({"tau": 0.1}, SUMS, {})
    assert torch.equal(cache.load({"tau": 0.1}), SUMS)
    assert cache.load({"tau": 0.2}) is None


def test_the_same_measurement_is_never_made_twice(load, parts):
    assert [measured_parts(load(), parts) for _ in range(2)] == [4, 0]


@pytest.mark.parametrize("change", [{"tau": 0.2}, {"tokens": "last"}, {"statistics_batch_size": 5}])
def test_other_settings_are_measured_anew(load, parts, change):
    measured_parts(load(), parts)
    assert measured_parts(load(), parts, **change) == 4


def test_changed_data_is_measured_anew_and_nothing_else(load, parts):
    measured_parts(load(), parts)
    parts["retain", "text"] = parts["retain", "text"][1:]
    assert measured_parts(load(), parts) == 1


def test_other_weights_in_the_same_folder_never_hit(load, parts, tmp_path):
    folder = save_llava(tmp_path / "model")
    assert measured_parts(load(folder), parts) == 4
    llava_model(seed=1).save_pretrained(folder)
    assert measured_parts(load(folder), parts) == 4


def test_the_same_weights_in_another_folder_hit(load, parts, tmp_path):
    assert measured_parts(load(save_llava(tmp_path / "one")), parts) == 4
    assert measured_parts(load(save_llava(tmp_path / "two")), parts) == 0


def test_an_edited_model_is_measured_anew(load, parts):
    measured_parts(load(), parts)
    checkpoint = load()
    note_edits(checkpoint.model, "some mask")
    assert measured_parts(checkpoint, parts) == 4


@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda data: data[:-1] + b"\x7f", lambda data: b"no"])
def test_a_damaged_file_is_measured_again_with_a_word(load, parts, damage, caplog):
    measured_parts(load(), parts)
    path = StatisticsCache.default().parts()[0].path
    path.write_bytes(damage(path.read_bytes()))
    assert measured_parts(load(), parts) == 1
    assert "made again" in caplog.text
    assert measured_parts(load(), parts) == 0


def test_a_damaged_file_that_cannot_be_removed_is_none(cache, monkeypatch):
    def refuse(path, missing_ok=False):
        raise PermissionError(path)

    cache.store({"tau": 0.1}, SUMS, {})
    cache.parts()[0].path.write_bytes(b"no")
    monkeypatch.setattr(Path, "unlink", refuse)
    assert cache.load({"tau": 0.1}) is None


def test_a_folder_that_can_only_be_read_is_read(cache, monkeypatch):
    def refuse(path):
        raise PermissionError(path)

    cache.store({"tau": 0.1}, SUMS, {})
    monkeypatch.setattr(os, "utime", refuse)
    assert torch.equal(cache.load({"tau": 0.1}), SUMS)


def test_a_folder_that_must_not_be_entered_holds_nothing(cache, monkeypatch):
    def refuse(path, *, follow_symlinks=True):
        raise PermissionError(path)

    monkeypatch.setattr(Path, "stat", refuse)
    assert cache.load({"tau": 0.1}) is None


def test_activations_read_elsewhere_are_other_statistics(load):
    checkpoint = load()
    first, *others = find_mlp_blocks(checkpoint.model)
    elsewhere = dataclasses.replace(first, down=first.down.replace("down", "up"))
    determinants = [determinants_of(checkpoint, [block, *others], MeasureSettings()) for block in (first, elsewhere)]
    assert determinants[0] != determinants[1]


def test_the_parts_used_longest_ago_give_way(cache):
    for tau in range(4):
        cache.store({"tau": tau}, SUMS, {})
        path = cache.parts()[0].path
        os.utime(path, (1000.0 + tau, 1000.0 + tau))
    cache.load({"tau": 0})
    size = cache.parts()[0].size
    assert len(cache.shrink(2 * size)) == 2
    assert [cache.load({"tau": tau}) is not None for tau in range(4)] == [True, False, False, True]


def test_many_may_write_and_read_the_same_part_at_once(cache):
    def use(number):
        cache.store({"tau": 0}, SUMS, {"writer": number})
        return torch.equal(cache.load({"tau": 0}), SUMS)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(40)))
