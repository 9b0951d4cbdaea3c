"""Weights that are offloaded, come as an adapter, or cannot be edited."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from support.models import llava_model
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

from lmms_manu.errors import ModelError
from lmms_manu.measuring import runner as measuring
from lmms_manu.methods.unlearn import plan

INPUTS = {"input_ids": torch.arange(5, 25).unsqueeze(0)}


def logits(checkpoint):
    with torch.no_grad():
        return checkpoint.model(**INPUTS).logits


def test_offloaded_weights_are_measured_and_pruned_as_if_they_were_not(arguments, tmp_path):
    plain, expected = plan({**arguments, "prune_rate": 20}).load()
    del arguments["device"]
    spread = {
        "model.vision_tower": "disk",
        "model.multi_modal_projector": "cpu",
        "model.language_model": "disk",
        "lm_head": "cpu",
    }
    offloaded, record = plan(
        {**arguments, "prune_rate": 20, "device_map": spread, "offload_folder": str(tmp_path / "offload")}
    ).load()
    assert record.fingerprint == expected.fingerprint
    torch.testing.assert_close(logits(offloaded), logits(plain))


def test_an_adapter_is_measured_and_pruned_as_its_merged_weights(arguments, llava_folder, tmp_path):
    torch.manual_seed(0)
    adapted = get_peft_model(
        llava_model(), LoraConfig(target_modules=["down_proj"], init_lora_weights=False, inference_mode=True)
    )
    adapted.save_pretrained(tmp_path / "adapter")
    whole: Any = adapted
    merged = whole.merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    processor = {"processor": str(llava_folder), "prune_rate": 20}
    from_adapter, one = plan({**arguments, **processor, "adapter": str(tmp_path / "adapter")}).load()
    from_merged, other = plan({**arguments, **processor, "pretrained": str(tmp_path / "merged")}).load()
    _, without = plan({**arguments, **processor}).load()
    assert one.fingerprint == other.fingerprint != without.fingerprint
    torch.testing.assert_close(logits(from_adapter), logits(from_merged))
    assert all(step["measured_parts"] == 4 for record in (one, other) for step in record.details["rounds"])


@pytest.mark.parametrize("bits", [{"load_in_4bit": True}, {"load_in_8bit": True}], ids=["4bit", "8bit"])
def test_a_quantised_checkpoint_is_refused_before_it_is_measured(bits, arguments, llava_folder, tmp_path, monkeypatch):
    quantised = AutoModelForImageTextToText.from_pretrained(
        llava_folder, quantization_config=BitsAndBytesConfig(**bits), device_map="cpu"
    )
    quantised.save_pretrained(tmp_path / "quantised")
    monkeypatch.setattr(measuring.ActivationRunner, "__init__", None)
    request = {**arguments, "pretrained": str(tmp_path / "quantised"), "processor": str(llava_folder)}
    plan({**request, "prune_rate": 0}).load()  # it answers unedited
    with pytest.raises(ModelError, match=r"cannot be edited: .*quantised with bitsandbytes"):
        plan({**request, "prune_rate": 20}).load()
