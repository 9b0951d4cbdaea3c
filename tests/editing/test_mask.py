"""Masks are small files that survive a round trip and refuse what they do not fit."""

from __future__ import annotations

import hashlib
import json
import logging

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from support.tiny_models import tiny_llava

from lmms_manu.editing.mask import FILE_NAME, NeuronMask
from lmms_manu.errors import DataError
from lmms_manu.models.blocks import find_mlp_blocks

SIZES = {"language.0": 40, "language.1": 40, "vision.0": 24}


@st.composite
def masks(draw):
    sizes = draw(st.dictionaries(st.text("ab.01", min_size=1, max_size=6), st.integers(1, 50), max_size=5))
    neurons = {
        name: torch.tensor(sorted(draw(st.sets(st.integers(0, size - 1)))), dtype=torch.int64)
        for name, size in sizes.items()
        if draw(st.booleans())
    }
    details = draw(
        st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.floats(allow_nan=False), st.text()))
    )
    return NeuronMask(neurons, sizes, draw(st.text("0123456789abcdef", max_size=8)), details)


@given(masks())
def test_a_mask_survives_a_round_trip(tmp_path_factory, mask):
    path = mask.save(tmp_path_factory.mktemp("masks") / "a.safetensors")
    loaded = NeuronMask.load(path)
    assert loaded.fingerprint == mask.fingerprint
    assert (loaded.sizes, loaded.weights, loaded.details) == (mask.sizes, mask.weights, mask.details)
    assert all(torch.equal(loaded.indices(name), mask.indices(name)) for name in mask.sizes)
    assert (loaded.count, loaded.total) == (mask.count, mask.total)


@given(masks(), st.data())
def test_the_fingerprint_changes_with_every_neuron(mask, data):
    names = [name for name, size in mask.sizes.items() if mask.indices(name).numel() < size]
    if not names:
        return
    name = data.draw(st.sampled_from(names))
    free = sorted(set(range(mask.sizes[name])) - set(mask.indices(name).tolist()))
    more = torch.cat([mask.indices(name), torch.tensor([data.draw(st.sampled_from(free))])]).sort().values
    assert NeuronMask({**mask.neurons, name: more}, mask.sizes).fingerprint != mask.fingerprint


def test_the_fingerprint_is_of_the_neurons_alone():
    plain = NeuronMask({"language.0": torch.tensor([3])}, SIZES)
    other = NeuronMask({"language.0": torch.tensor([3])}, dict(reversed(SIZES.items())), "abc", {"recipe": "paper"})
    assert plain.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    "indices",
    [
        torch.tensor([40]),
        torch.tensor([-1]),
        torch.tensor([2, 1]),
        torch.tensor([1, 1]),
        torch.tensor([1.0]),
        torch.tensor([[1]]),
        torch.tensor([1], dtype=torch.int32),
    ],
)
def test_indices_that_are_no_ascending_neurons_are_refused(indices):
    with pytest.raises(DataError, match=r"language\.0"):
        NeuronMask({"language.0": indices}, SIZES)


def test_a_block_without_a_size_is_refused():
    with pytest.raises(DataError, match="how many neurons"):
        NeuronMask({"language.9": torch.tensor([1])}, SIZES)


def test_indices_of_blocks_may_come_in_any_order():
    blocks = find_mlp_blocks(tiny_llava())
    indices = [torch.tensor([5, 2, 2, 9])] + [torch.empty(0, dtype=torch.int64)] * (len(blocks) - 1)
    mask = NeuronMask.of_blocks(blocks, indices)
    assert mask.indices(blocks[0].name).tolist() == [2, 5, 9]
    assert mask.count == 3
    assert mask.total == sum(block.neurons for block in blocks)


def test_a_folder_holds_the_mask_under_its_usual_name(tmp_path):
    path = NeuronMask({"vision.0": torch.tensor([1])}, SIZES).save(tmp_path / "run")
    assert path == tmp_path / "run" / FILE_NAME
    assert NeuronMask.load(tmp_path / "run").count == 1


def test_a_mask_is_a_small_file(tmp_path):
    sizes = {f"layer.{number}": 11008 for number in range(32)}
    neurons = {name: torch.arange(0, size, 50) for name, size in sizes.items()}
    assert NeuronMask(neurons, sizes).save(tmp_path / "m.safetensors").stat().st_size < 50_000


def test_a_missing_mask_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no mask at .*gone\.safetensors"):
        NeuronMask.load(tmp_path / "gone.safetensors")


def test_another_safetensors_file_is_no_mask(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "weights.safetensors")
    with pytest.raises(DataError, match="is no mask"):
        NeuronMask.load(tmp_path / "weights.safetensors")


def test_a_truncated_mask_is_refused(tmp_path):
    path = NeuronMask({"vision.0": torch.arange(20)}, SIZES).save(tmp_path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="cannot be read"):
        NeuronMask.load(path)


def test_a_mask_with_flipped_bits_is_refused(tmp_path):
    path = NeuronMask({"vision.0": torch.arange(20)}, SIZES).save(tmp_path)
    content = bytearray(path.read_bytes())
    content[-4] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(DataError):
        NeuronMask.load(path)


def test_a_mask_of_version_0_1_is_read_and_its_damage_noticed(tmp_path):
    mask = NeuronMask({"vision.0": torch.arange(20)}, SIZES, "abc", {"recipe": "paper"})
    told = {
        "format": "lmms-manu mask 1",
        "sizes": json.dumps(SIZES),
        "weights": mask.weights,
        "details": json.dumps(mask.details),
        "fingerprint": mask.fingerprint,
    }
    checksum = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    tensors = {name: indices.to(torch.int32) for name, indices in mask.neurons.items()}
    path = tmp_path / "m.safetensors"
    save_file(tensors, path, {**told, "checksum": checksum})
    loaded = NeuronMask.load(path)
    assert (loaded.fingerprint, loaded.sizes, loaded.weights) == (mask.fingerprint, SIZES, "abc")
    assert loaded.details == {"recipe": "paper"}
    save_file({"vision.0": tensors["vision.0"][1:]}, path, {**told, "checksum": checksum})
    with pytest.raises(DataError, match="do not match its fingerprint"):
        NeuronMask.load(path)
    save_file(tensors, path, {**told, "weights": "other", "checksum": checksum})
    with pytest.raises(DataError, match="does not match its checksum"):
        NeuronMask.load(path)


def test_a_mask_from_the_hub_is_fetched_by_the_name_of_its_repository(tmp_path, monkeypatch):
    # The hub's cache on disk stands in for the hub, as it does for every user without a network.
    path = NeuronMask({"vision.0": torch.tensor([1])}, SIZES).save(tmp_path / "source")
    repository = tmp_path / "hub" / "models--somebody--mask"
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abcd")
    path.rename(snapshot / FILE_NAME)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert NeuronMask.load("somebody/mask").count == 1
    with pytest.raises(DataError, match="somebody/other"):
        NeuronMask.load("somebody/other")


def test_other_blocks_are_another_architecture():
    blocks = find_mlp_blocks(tiny_llava())
    mask = NeuronMask({}, {block.name: block.neurons for block in blocks[:-1]})
    with pytest.raises(DataError, match="another architecture"):
        mask.check_fits(blocks)
    more = NeuronMask({}, {block.name: block.neurons for block in blocks} | {"extra": 3})
    with pytest.raises(DataError, match=r"another architecture.*'extra'"):
        more.check_fits(blocks)


def test_other_sizes_are_other_shapes():
    blocks = find_mlp_blocks(tiny_llava())
    mask = NeuronMask({}, {block.name: block.neurons + 1 for block in blocks})
    with pytest.raises(DataError, match=r"other shapes.*41 neurons there and 40 here"):
        mask.check_fits(blocks)


def test_other_weight_files_of_the_same_shape_are_a_warning(caplog):
    blocks = find_mlp_blocks(tiny_llava())
    mask = NeuronMask({}, {block.name: block.neurons for block in blocks}, weights="aaaa")
    with caplog.at_level(logging.WARNING):
        mask.check_fits(blocks, weights="aaaa")
        assert not caplog.records
        mask.check_fits(blocks, weights="bbbb")
    assert "other weight files" in caplog.text


@pytest.mark.parametrize(
    "change",
    [{"details": {"record": {"forget_ratio": 7}}}, {"weights": "other"}, {"sizes": {"language.0": 41}}, {"more": 1}],
)
def test_a_mask_that_was_changed_is_damaged(tmp_path, change):
    path = NeuronMask({"language.0": torch.tensor([1])}, SIZES, "abc", {}).save(tmp_path)
    with safe_open(path, framework="pt") as opened:
        tensors, metadata = {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()  # noqa: SIM118
    about = json.dumps({**json.loads(metadata["about"]), **change}, sort_keys=True)
    save_file(tensors, path, {**metadata, "about": about})
    with pytest.raises(DataError, match="damaged"):
        NeuronMask.load(path)


def test_another_mask_is_not_written_over(tmp_path):
    one, other = (NeuronMask({"language.0": torch.tensor([neuron])}, SIZES, "", {}) for neuron in (1, 2))
    path = one.save(tmp_path)
    assert one.save(tmp_path) == path
    with pytest.raises(DataError, match="holds another mask"):
        other.save(tmp_path)
    assert NeuronMask.load(path).fingerprint == one.fingerprint
