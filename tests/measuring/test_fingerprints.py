"""Other weights, other code and another processor have other fingerprints; the same ones have the same."""

import dataclasses
import importlib.util
import json
import os
import sys
import time
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from support.models import llava_processor, save_llava
from transformers import AutoProcessor

from lmms_manu.measuring.fingerprints import processor_fingerprint, weights_fingerprint


def _shard(folder, names):
    """Cuts the weights of a checkpoint in two; `names` are of the shards, beside or below its other files."""
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    weights.unlink()
    last = list(tensors)[-1]
    split = {key: tensors[key] for key in tensors if key != last}, {last: tensors[last]}
    for name, own in zip(names, split, strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        save_file(own, folder / name, {"format": "pt"})
    _index(folder, {key: names[key == last] for key in tensors})
    return last


def _index(folder, weight_map):
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_an_index_that_names_another_shard_is_other_weights(load, tmp_path):
    folder = save_llava(tmp_path / "model")
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    last = _shard(folder, names)
    save_file({last: 2 * load_file(folder / names[1])[last]}, folder / "other.safetensors", {"format": "pt"})
    before = weights_fingerprint(load(folder))
    first = dict.fromkeys(load_file(folder / names[0]), names[0])
    _index(folder, {**first, last: "other.safetensors"})
    assert weights_fingerprint(load(folder)) != before


def test_shards_in_a_folder_of_their_own_are_weights(load, tmp_path):
    folder = save_llava(tmp_path / "model")
    last = _shard(folder, ["first.safetensors", "below/second.safetensors"])
    before = weights_fingerprint(load(folder))
    shard = folder / "below" / "second.safetensors"
    save_file({last: 2 * load_file(shard)[last]}, shard, {"format": "pt"})
    assert weights_fingerprint(load(folder)) != before


def test_a_model_of_other_code_has_other_weights(load, tmp_path):
    code = tmp_path / "modeling_own.py"

    def fingerprint(scale):
        base = "LlavaForConditionalGeneration"
        code.write_text(f"from transformers import {base}\n\n\nclass Own({base}):\n    {scale}\n")
        checkpoint = load()
        specification: Any = importlib.util.spec_from_file_location("modeling_own", code)
        module = importlib.util.module_from_spec(specification)
        sys.modules[module.__name__] = module
        specification.loader.exec_module(module)
        checkpoint.model.__class__ = module.Own
        return weights_fingerprint(checkpoint)

    assert fingerprint("scale = 1") == fingerprint("scale = 1") != fingerprint("scale = 2")
    assert fingerprint("scale = 1") != weights_fingerprint(load())
    code.unlink()
    checkpoint = load()
    checkpoint.model.__class__ = sys.modules["modeling_own"].Own
    assert weights_fingerprint(checkpoint), "where the file of a class has gone"


def test_a_remembered_digest_notices_a_file_that_changed_in_place(load, tmp_path):
    folder = save_llava(tmp_path / "model")
    weights = folder / "model.safetensors"
    past = time.time() - 100
    os.utime(weights, (past, past))
    before = weights_fingerprint(load(folder))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    os.utime(weights, (past, past))
    assert weights_fingerprint(load(folder)) != before


def test_another_treatment_of_pictures_is_another_processor(load):
    plain, changed = load(), load()
    assert processor_fingerprint(plain) == processor_fingerprint(load())
    changed.processor.image_processor.image_mean = [0.1, 0.2, 0.3]
    assert processor_fingerprint(plain) != processor_fingerprint(changed)


def _exchange_two_words(folder):
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    words = content["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]
    file.write_text(json.dumps(content))


def _lower_case(folder):
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "do_lower_case": True}))


@pytest.mark.parametrize("change", [_exchange_two_words, _lower_case])
def test_other_files_of_a_tokenizer_are_another_processor(load, tmp_path, change):
    folder = save_llava(tmp_path / "model")
    before = processor_fingerprint(load(folder))
    assert processor_fingerprint(load(folder)) == before
    change(folder)
    assert processor_fingerprint(load(folder)) != before


def test_files_that_another_class_reads_are_another_processor(load, tmp_path):
    def fingerprint(model_type):
        folder = tmp_path / model_type
        llava_processor().save_pretrained(folder)
        file = folder / "tokenizer_config.json"
        told = json.loads(file.read_text())
        del told["tokenizer_class"]
        file.write_text(json.dumps({**told, "unk_token": "<pad>"}))
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
        checkpoint = dataclasses.replace(load(), processor=AutoProcessor.from_pretrained(folder))
        return type(checkpoint.tokenizer), processor_fingerprint(checkpoint)

    (kind, one), (other_kind, other) = fingerprint("mllama"), fingerprint("idefics2")
    assert kind is not other_kind
    assert one != other


def test_a_tokenizer_of_no_files_is_told_by_its_words(load):
    def fingerprint(*words, folder=""):
        checkpoint = load()
        checkpoint.tokenizer.name_or_path = folder
        checkpoint.tokenizer.add_tokens(list(words))
        return processor_fingerprint(checkpoint)

    assert fingerprint("one") == fingerprint("one") != fingerprint("two")
    # Beside files, too.
    assert fingerprint("one", folder=load().name) != fingerprint("two", folder=load().name)


def test_files_that_no_word_or_weight_is_read_from_are_not_told(load, tmp_path):
    folder = save_llava(tmp_path / "model")
    before = processor_fingerprint(load(folder)), weights_fingerprint(load(folder))
    (folder / "train_tokens.log").write_text("a")
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"a": "pytorch_model.bin"}}))
    (folder / "pytorch_model.bin").write_bytes(b"a")
    assert (processor_fingerprint(load(folder)), weights_fingerprint(load(folder))) == before


@pytest.mark.parametrize("index", ["[]", '{"weight_map": {"a": 1}}', "{", '{"weight_map": {"a": "gone.safetensors"}}'])
def test_an_index_that_says_nothing_is_no_error(load, tmp_path, index):
    folder = save_llava(tmp_path / "model")
    checkpoint = load(folder)
    (folder / "model.safetensors.index.json").write_text(index)
    assert weights_fingerprint(checkpoint)
