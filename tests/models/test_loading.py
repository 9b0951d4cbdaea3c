from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.models import llava_model, llava_processor, save_llava

from lmms_manu.errors import ModelError, SettingError
from lmms_manu.models.devices import resolve_device
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import from_arguments

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_llava(tmp_path_factory.mktemp("llava"))


def test_a_folder_is_loaded_with_its_own_processor(folder):
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))
    assert not checkpoint.model.training
    assert checkpoint.tokenizer.padding_side == "left"
    assert checkpoint.context_length == 2048
    assert checkpoint.name == str(folder)


def test_code_that_comes_with_a_processor_is_not_passed_by(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    rewrite(
        tmp_path / "model" / "processor_config.json",
        processor_class="OwnProcessor",
        auto_map={"AutoProcessor": "own.OwnProcessor"},
    )
    with pytest.raises(ModelError, match=r"No usable processor in .*custom code.* give trust_remote_code=True"):
        load_checkpoint(ModelSettings(pretrained=str(tmp_path / "model"), device="cpu"))


OWN_CODE = """
from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor


class OwnConfig(LlavaConfig):
    model_type = "own"


class OwnModel(LlavaForConditionalGeneration):
    config_class = OwnConfig


class OwnProcessor(LlavaProcessor):
    pass
"""


def test_code_that_comes_with_a_checkpoint_runs_only_when_it_is_trusted(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("sys.path", sys.path.copy())
    own = tmp_path / "model"
    shutil.copytree(folder, own)
    (own / "own.py").write_text(OWN_CODE)
    classes = {"AutoConfig": "own.OwnConfig", "AutoModelForImageTextToText": "own.OwnModel"}
    rewrite(own / "config.json", model_type="own", auto_map=classes)
    # The names of LLaVA's weights are changed on their way in; those of a type that transformers does not know are not.
    weights = load_file(own / "model.safetensors")
    weights["lm_head.weight"] = weights.pop("language_model.lm_head.weight")
    save_file(weights, own / "model.safetensors", {"format": "pt"})
    rewrite(own / "processor_config.json", processor_class=None, auto_map={"AutoProcessor": "own.OwnProcessor"})
    settings: dict[str, Any] = {"pretrained": str(own), "device": "cpu"}
    with pytest.raises(ModelError, match=r"custom code.* give trust_remote_code=True"):
        load_checkpoint(ModelSettings(**settings))
    assert not (tmp_path / "modules").exists()
    checkpoint = load_checkpoint(ModelSettings(**settings, trust_remote_code=True))
    assert [type(part).__name__ for part in (checkpoint.model.config, checkpoint.model, checkpoint.processor)] == [
        "OwnConfig",
        "OwnModel",
        "OwnProcessor",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "nosuch"}, "model type `nosuch`"),
        ({"vision_config": "clip"}, "field 'vision_config': TypeError"),
        ({"text_config": {"model_type": "llama", "hidden_size": "large"}}, "expected int, got str"),
    ],
)
def test_a_configuration_that_transformers_does_not_read_is_named(folder, tmp_path, changes, said):
    shutil.copytree(folder, tmp_path / "model")
    rewrite(tmp_path / "model" / "config.json", **changes)
    with pytest.raises(ModelError, match=f"pretrained=.* cannot be loaded: .*{said}"):
        load_checkpoint(ModelSettings(pretrained=str(tmp_path / "model"), device="cpu"))


def rewrite(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_the_defaults_are_the_vanilla_model_and_the_processor_of_its_base(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_llava(tmp_path / "MLLMMU" / "LLaVA_Vanilla", processor=False)
    llava_processor().save_pretrained(tmp_path / "llava-hf" / "llava-1.5-7b-hf")
    checkpoint = load_checkpoint(ModelSettings(device="cpu"))
    assert checkpoint.name == "MLLMMU/LLaVA_Vanilla"
    assert checkpoint.processor.image_token == "<image>"


def test_a_missing_processor_is_found_before_the_weights_are_read_and_names_the_argument(tmp_path):
    save_llava(tmp_path, processor=False)
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match=r"No usable processor in .* with the argument processor"):
        load_checkpoint(ModelSettings(pretrained=str(tmp_path), device="cpu"))


def test_a_bare_tokenizer_is_no_processor(tmp_path):
    save_llava(tmp_path, processor=False)
    llava_processor().tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="argument processor"):
        load_checkpoint(ModelSettings(pretrained=str(tmp_path), device="cpu"))


def test_pickled_weights_are_refused(tmp_path):
    model = llava_model()
    model.config.save_pretrained(tmp_path)
    llava_processor().save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only pickled weights \(pytorch_model.bin\)"):
        load_checkpoint(ModelSettings(pretrained=str(tmp_path), device="cpu"))


@pytest.mark.parametrize("argument", ["pretrained", "processor", "adapter"])
def test_a_folder_that_is_not_there_is_named_with_the_nearest_one(tmp_path, monkeypatch, argument):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pruned-2").mkdir()
    with pytest.raises(SettingError, match=rf"{argument}='./pruned2': there is no such folder. .*'./pruned-2'\?"):
        from_arguments({argument: "./pruned2"}, ModelSettings)


def test_only_a_checkpoint_is_suggested_unless_the_name_is_hardly_different(tmp_path):
    for name in ("sbin", "missed"):
        (tmp_path / name).mkdir()
    with pytest.raises(SettingError, match=r"there is no such folder\.$"):
        ModelSettings(pretrained=str(tmp_path / "missing"))
    (tmp_path / "missed" / "config.json").touch()
    with pytest.raises(SettingError, match=rf"Did you mean '{tmp_path}/missed'\?$"):
        ModelSettings(pretrained=str(tmp_path / "missing"))


@pytest.mark.parametrize("processor", [True, False])
def test_a_folder_without_a_checkpoint_is_told_before_the_processor_is_looked_for(folder, tmp_path, processor):
    given: dict[str, Any] = {"processor": str(folder)} if processor else {}
    with pytest.raises(ModelError, match=r"without a checkpoint: it has no config\.json or adapter_config\.json"):
        load_checkpoint(ModelSettings(pretrained=str(tmp_path), device="cpu", **given))


@pytest.fixture
def no_network(monkeypatch):
    """Stands in for `HF_HUB_OFFLINE=1`, which the hub's library reads when it is imported."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("argument", ["pretrained", "processor", "adapter"])
def test_a_name_that_is_no_folder_nor_on_the_hub_is_named_with_the_nearest_folder(
    folder, tmp_path, monkeypatch, argument
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MLLMMU" / "LLaVA_Vanilla").mkdir(parents=True)
    (settings,) = from_arguments(
        {"pretrained": str(folder), "device": "cpu", argument: "MLLMMU/LLaVA_Vanila"}, ModelSettings
    )
    told = rf"{argument}='MLLMMU/LLaVA_Vanila' is neither a folder here nor reachable .*'MLLMMU/LLaVA_Vanilla'\?"
    with pytest.raises(ModelError, match=told):
        load_checkpoint(settings)


@pytest.mark.usefixtures("no_network")
def test_the_local_cache_of_the_hub_will_do(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "models--some--model"
    shutil.copytree(folder, cached / "snapshots" / COMMIT)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    assert load_checkpoint(ModelSettings(pretrained="some/model", device="cpu")).name == "some/model"


def test_an_attention_kernel_that_is_not_installed_is_named(folder):
    settings = ModelSettings(pretrained=str(folder), device="cpu", attn_implementation="flash_attention_2")
    with pytest.raises(ModelError, match=r"cannot be loaded: .*leave attn_implementation"):
        load_checkpoint(settings)


def test_a_folder_below_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tiny").mkdir()
    assert ModelSettings(pretrained="~/tiny").checkpoint == str(tmp_path / "tiny")


def test_dtype_and_attention_are_as_asked(folder):
    settings = ModelSettings(pretrained=str(folder), device="cpu", dtype="bfloat16", attn_implementation="eager")
    model = load_checkpoint(settings).model
    assert model.dtype == torch.bfloat16
    assert model.config._attn_implementation == "eager"


@pytest.mark.parametrize("as_pretrained", [True, False])
def test_an_adapter_is_merged(folder, tmp_path, as_pretrained):
    base = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu")).model
    adapted = peft.get_peft_model(base, peft.LoraConfig(target_modules=["down_proj"], init_lora_weights=False))
    adapted.peft_config["default"].base_model_name_or_path = str(folder)
    adapted.save_pretrained(tmp_path)
    wanted = adapted.merge_and_unload().state_dict()
    names: dict[str, Any] = (
        {"pretrained": str(tmp_path), "processor": str(folder)} if as_pretrained else {"pretrained": str(folder)}
    )
    settings = ModelSettings(device="cpu", adapter=None if as_pretrained else str(tmp_path), **names)
    loaded = load_checkpoint(settings).model.state_dict()
    assert loaded.keys() == wanted.keys()
    assert all(torch.equal(loaded[name], wanted[name]) for name in wanted)


def test_an_adapter_beside_offloaded_weights_is_refused(folder, tmp_path, monkeypatch):
    base = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu")).model
    adapted = peft.get_peft_model(base, peft.LoraConfig(target_modules=["down_proj"]))
    adapted.save_pretrained(tmp_path / "adapter")
    # A machine whose memory holds a part of the model only.
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=60_000))
    settings = ModelSettings(
        pretrained=str(folder),
        adapter=str(tmp_path / "adapter"),
        device_map="auto",
        offload_folder=str(tmp_path / "offloaded"),
    )
    with pytest.raises(ModelError, match="cannot be merged"):
        load_checkpoint(settings)


def test_an_adapter_whose_base_is_nowhere_is_refused(folder, tmp_path):
    base = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu")).model
    adapted = peft.get_peft_model(base, peft.LoraConfig(target_modules=["down_proj"]))
    adapted.peft_config["default"].base_model_name_or_path = "nobody/nothing"
    adapted.save_pretrained(tmp_path)
    settings = ModelSettings(pretrained=str(tmp_path), processor=str(folder), device="cpu")
    with pytest.raises(ModelError, match="base_model_name_or_path='nobody/nothing' is neither a folder"):
        load_checkpoint(settings)


def test_an_adapter_of_an_adapter_is_refused(folder, tmp_path):
    base = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu")).model
    adapted = peft.get_peft_model(base, peft.LoraConfig(target_modules=["down_proj"]))
    adapted.peft_config["default"].base_model_name_or_path = str(folder)
    adapted.save_pretrained(tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    rewrite(tmp_path / "second" / "adapter_config.json", base_model_name_or_path=str(tmp_path / "first"))
    settings = ModelSettings(pretrained=str(tmp_path / "second"), processor=str(folder), device="cpu")
    with pytest.raises(ModelError, match=r"belongs to .*first', which is an adapter itself: merge"):
        load_checkpoint(settings)


def test_a_pickled_adapter_is_refused(folder, tmp_path):
    base = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu")).model
    adapted = peft.get_peft_model(base, peft.LoraConfig(target_modules=["down_proj"]))
    adapted.save_pretrained(tmp_path, safe_serialization=False)
    with pytest.raises(ModelError, match="pickled weights are not loaded"):
        load_checkpoint(ModelSettings(pretrained=str(folder), adapter=str(tmp_path), device="cpu"))


def test_a_model_may_be_spread_over_devices_and_disk(folder, tmp_path):
    language = ("embed_tokens", "layers.0", "norm", "rotary_emb")
    parts = ("lm_head", "model.vision_tower", "model.multi_modal_projector")
    device_map = dict.fromkeys((*parts, *(f"model.language_model.{part}" for part in language)), "cpu")
    device_map["model.language_model.layers.1"] = "disk"
    settings = ModelSettings(pretrained=str(folder), device_map=device_map, offload_folder=str(tmp_path / "offload"))
    spread = load_checkpoint(settings)
    whole = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.allclose(spread.model(input_ids=ids).logits, whole.model(input_ids=ids).logits, atol=1e-5)


def test_the_device_is_the_best_there_is_unless_named(monkeypatch):
    assert resolve_device(ModelSettings(device="cpu")).type == "cpu"
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert resolve_device(ModelSettings()).type == "cpu"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "gpu9"}, "is not a device"),
        ({"device": f"cuda:{torch.cuda.device_count()}"}, "CUDA devices"),
    ],
)
def test_a_device_that_is_not_there_is_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        resolve_device(ModelSettings(**settings))


@pytest.mark.parametrize(("launched", "own"), [({}, "cuda:0"), ({"LOCAL_WORLD_SIZE": "2"}, "cuda:1")])
def test_a_process_that_is_shown_one_gpu_takes_it(monkeypatch, launched, own):
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", **launched}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    if own == "cuda:0":
        assert str(resolve_device(ModelSettings())) == own
    else:
        with pytest.raises(SettingError, match="device='cuda:1' is not there"):
            resolve_device(ModelSettings())


def test_one_gpu_for_several_processes_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(SettingError, match=r"device='cuda:0' is one GPU for 2 processes.*this one cuda:1"):
        resolve_device(ModelSettings(device="cuda:0"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cpu", "device_map": "auto"}, "exclude each other"),
        ({"offload_folder": "somewhere"}, "without device_map"),
        ({"dtype": "int3"}, "dtype='int3' is not allowed"),
        ({"pretrained": str(Path(__file__).parent), "revision": "main"}, "revision='main' has no effect"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        ModelSettings(**settings)
