from __future__ import annotations

import pytest
from support.models import save_llava

from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Checkpoint:
    folder = save_llava(tmp_path_factory.mktemp("llava"))
    return load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))


@pytest.fixture
def encoder(checkpoint) -> PromptEncoder:
    return PromptEncoder(checkpoint)
