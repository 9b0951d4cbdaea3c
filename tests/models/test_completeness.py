"""Checkpoints and adapters that do not fit their model are refused: no number may come from weights drawn at random."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.families import FAMILIES, save_family
from support.models import save_llava
from transformers import AutoModelForImageTextToText

from lmms_manu.cli.main import main
from lmms_manu.errors import ModelError
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings

Weights = dict[str, torch.Tensor]
NORM = "language_model.model.norm.weight"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_llava(tmp_path_factory.mktemp("llava"))


def load(folder: Path, **settings: Any) -> Checkpoint:
    return load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu", **settings))


def altered(folder: Path, target: Path, change: Callable[[Weights], Weights]) -> Path:
    """A copy of a checkpoint with other weights."""
    shutil.copytree(folder, target)
    save_file(change(load_file(folder / "model.safetensors")), target / "model.safetensors", {"format": "pt"})
    return target


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda weights: {name: value for name, value in weights.items() if "vision_tower" not in name},
            r"it lacks \d+ weights such as model\.vision_tower\.",
        ),
        (
            lambda weights: {f"module.{name}": value for name, value in weights.items()},
            r"it lacks \d+ weights such as .*; it has \d+ weights such as module\..* names begin with 'module\.', as a",
        ),
        (
            lambda weights: weights | {"value_head.weight": torch.zeros(1, 32)},
            r"it has value_head\.weight, for which the model has no place",
        ),
        (
            lambda weights: weights | {NORM: torch.zeros(7)},
            r"it holds model\.language_model\.norm\.weight of shape \(7,\) in place of \(32,\)",
        ),
    ],
    ids=["missing", "renamed", "superfluous", "of another shape"],
)
def test_weights_that_do_not_fit_are_refused_with_their_names(folder, tmp_path, change, told):
    with pytest.raises(ModelError, match=f"does not fit its model, a LlavaForConditionalGeneration: {told}"):
        load(altered(folder, tmp_path / "model", change))


def test_a_shard_that_lacks_a_weight_is_refused_with_its_name(folder, tmp_path):
    AutoModelForImageTextToText.from_pretrained(folder).save_pretrained(tmp_path, max_shard_size="50KB")
    for file in [*folder.glob("*processor*"), *folder.glob("token*"), *folder.glob("*.jinja")]:
        shutil.copy(file, tmp_path)
    assert load(tmp_path).name == str(tmp_path)
    shards = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    shard = tmp_path / shards[NORM]
    save_file({name: value for name, value in load_file(shard).items() if name != NORM}, shard, {"format": "pt"})
    with pytest.raises(ModelError, match=r"it lacks model\.language_model\.norm\.weight\."):
        load(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_that_a_family_ties_or_computes_are_not_missed(family, tmp_path):
    assert load(save_family(family, tmp_path)).model is not None


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def test_weights_that_were_cut_off_end_the_command_in_a_sentence(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "cut")
    cut(tmp_path / "cut" / "model.safetensors")
    command = ["prune", "--pretrained", str(tmp_path / "cut"), "--prune_rate", "0", "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert f"pretrained='{tmp_path}/cut' cannot be loaded: " in capsys.readouterr().err


@pytest.mark.parametrize("file", ["tokenizer.json", "processor_config.json", "tokenizer_config.json"])
def test_a_file_of_the_processor_that_was_cut_off_is_told_in_a_sentence(folder, tmp_path, file):
    shutil.copytree(folder, tmp_path / "cut")
    cut(tmp_path / "cut" / file)
    with pytest.raises(ModelError, match="No usable processor in"):
        load(tmp_path / "cut")


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{% for message in messages %}", "TemplateSyntaxError"),
        ("{{ raise_exception('never') }}", "TemplateError: never"),
    ],
)
def test_a_broken_chat_template_is_told_before_the_weights_are_read(folder, tmp_path, template, told):
    shutil.copytree(folder, tmp_path / "broken")
    (tmp_path / "broken" / "chat_template.jinja").write_text(template)
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match=rf"The chat template of .*broken' cannot be used: {told}"):
        load(tmp_path / "broken")


def adapter_of(model: torch.nn.Module, target: Path, modules: str, base: Path) -> Path:
    """An adapter of random weights, as training would leave it."""
    torch.manual_seed(0)
    config = peft.LoraConfig(r=2, target_modules=modules, init_lora_weights=False)
    peft.get_peft_model(model, config).save_pretrained(str(target))
    file = target / "adapter_config.json"
    told = {"init_lora_weights": True, "base_model_name_or_path": str(base)}
    file.write_text(json.dumps(json.loads(file.read_text()) | told))
    return target


def test_what_of_an_adapter_fits_is_counted(folder, tmp_path):
    model = load(folder).model
    adapter = adapter_of(model, tmp_path / "good", r".*language_model.*(q_proj|down_proj)", folder)
    loaded = load(folder, adapter=str(adapter))
    assert (loaded.adapter.source, loaded.adapter.tensors, loaded.adapter.modules) == (str(adapter), 8, 4)
    before, after = load(folder).model.state_dict(), loaded.model.state_dict()
    assert sum(not torch.equal(before[name], after[name]) for name in before) == 4
    assert load(folder).adapter is None


def test_an_adapter_of_the_language_model_alone_is_refused_with_what_found_no_place(folder, tmp_path):
    language = load(folder).model.model.language_model
    adapter = adapter_of(language, tmp_path / "of-llm", r".*layers\.\d+\.(self_attn\.q_proj|mlp\.down_proj)", folder)
    told = r"does not fit the checkpoint: 8 weights such as base_model\.model\.layers\.0\..* found no place.*; it lacks"
    given: tuple[dict[str, Any], ...] = (
        {"adapter": str(adapter)},
        {"pretrained": str(adapter), "processor": str(folder)},
    )
    for settings in given:
        with pytest.raises(ModelError, match=told):
            load_checkpoint(ModelSettings(**({"pretrained": str(folder), "device": "cpu"} | settings)))


def _without_one(weights: Weights) -> Weights:
    return dict(list(weights.items())[1:])


def _of_rank_3(weights: Weights) -> Weights:
    return {name: torch.ones(3, value.shape[1]) if "lora_A" in name else value for name, value in weights.items()}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_without_one, r"does not fit the checkpoint: it lacks base_model\.model\..*lora_A"),
        (_of_rank_3, "cannot be loaded: .*size mismatch"),
        (None, "cannot be loaded: "),
    ],
    ids=["lacking", "of another shape", "cut off"],
)
def test_an_adapter_that_is_not_whole_is_refused(folder, tmp_path, change, told):
    adapter = adapter_of(load(folder).model, tmp_path / "adapter", r".*language_model.*down_proj", folder)
    file = adapter / "adapter_model.safetensors"
    if change is None:
        cut(file)
    else:
        save_file(change(load_file(file)), file, {"format": "pt"})
    with pytest.raises(ModelError, match=f"adapter='.*adapter' {told}"):
        load(folder, adapter=str(adapter))


def test_an_adapter_for_modules_that_the_model_has_not_is_refused(folder, tmp_path):
    adapter = adapter_of(load(folder).model, tmp_path / "adapter", r".*language_model.*down_proj", folder)
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"target_modules": ["nowhere"]}))
    with pytest.raises(ModelError, match=r"adapter='.*adapter' cannot be loaded: .*nowhere"):
        load(folder, adapter=str(adapter))


def test_padding_is_by_a_token_that_the_model_has_an_embedding_for(folder, tmp_path):
    tokenizer = load(folder).tokenizer
    tokenizer.add_special_tokens({"pad_token": "<padding>"})
    shutil.copytree(folder, tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert tokenizer.pad_token_id >= loaded.model.get_input_embeddings().num_embeddings
    assert loaded.tokenizer.pad_token_id == loaded.tokenizer.eos_token_id
    encoded = PromptEncoder(loaded).encode(["a", "a longer one"], [[], []])
    assert loaded.model(**encoded).logits.isfinite().all()


def test_a_tokenizer_without_any_token_to_pad_with_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    config = tmp_path / "model" / "tokenizer_config.json"
    without = dict.fromkeys(("pad_token", "eos_token", "bos_token", "unk_token"))
    config.write_text(json.dumps(json.loads(config.read_text()) | without))
    with pytest.raises(ModelError, match=r"has no token to pad with: .* Set pad_token in its tokenizer_config\.json"):
        load(tmp_path / "model")
