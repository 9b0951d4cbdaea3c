"""The type that weights are loaded in: on a GPU float32 ones in bfloat16, unless told otherwise, and never silently."""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch
from transformers import AutoConfig

from lmms_manu.methods.unlearn import plan
from lmms_manu.models.loading import dtype_on_card, is_narrowed
from lmms_manu.models.settings import ModelSettings


def test_weights_of_float32_are_loaded_in_bfloat16_on_a_gpu_alone_and_records_say_so(load, device, caplog):
    with caplog.at_level(logging.WARNING):
        checkpoint = load("auto")
    on_card = device.type == "cuda"
    assert checkpoint.model.dtype == (torch.bfloat16 if on_card else torch.float32)
    assert ("dtype=float32" in caplog.text) == on_card
    request = plan({"pretrained": load.folder, "method": "none", "device": str(device)})
    assert ("dtype" in request.find(checkpoint)[1].details) == on_card
    told = dataclasses.replace(checkpoint, narrowed=True)
    assert request.find(told)[1].details["dtype"] == "stored as float32, loaded as bfloat16"


def test_weights_that_were_asked_for_in_float32_are_loaded_in_it(load):
    checkpoint = load("float32")
    assert checkpoint.model.dtype == torch.float32
    assert not checkpoint.narrowed


@pytest.mark.parametrize(
    ("stored", "asked", "loaded"),
    [
        ("float32", "auto", torch.bfloat16),
        ("float32", "float32", torch.float32),
        ("float16", "auto", torch.float16),
        ("bfloat16", "auto", torch.bfloat16),
        ("bfloat16", "float32", torch.float32),
    ],
)
def test_what_a_card_would_be_given_is_known_from_the_configuration(folder, stored, asked, loaded):
    config = AutoConfig.from_pretrained(folder)
    config.dtype = getattr(torch, stored)
    settings = ModelSettings(pretrained=str(folder), dtype=asked)
    assert dtype_on_card(settings, config) == loaded
    narrowed = stored == "float32" and asked == "auto"
    assert is_narrowed(settings, config, torch.device("cuda")) == narrowed
    assert not is_narrowed(settings, config, torch.device("cpu"))
