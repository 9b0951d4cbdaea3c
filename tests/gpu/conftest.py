"""A tiny LLaVA on a device, and the same one in float64 on the CPU, which says what is right.

Each check runs on the CPU with the ordinary tests, where it compares two ways of computing the same, and with the
marker `gpu` on a CUDA device. Nothing here needs the harness or a benchmark's data.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch
from support.models import llava_processor, save_llava
from support.rendered import make_examples
from transformers import LlavaForConditionalGeneration

from lmms_manu.measuring.parts import PARTS
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.models.wrapping import wrap

NO_CARD = "needs a CUDA device, and torch sees none here: `make test-gpu` on a machine with one"


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip(NO_CARD)
    # Ten bits of a float32's mantissa are what TensorFloat-32 keeps in convolutions, and comparisons need all.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return save_llava(tmp_path_factory.mktemp("llava"))


@dataclasses.dataclass(frozen=True)
class Loader:
    """Loads the tiny model anew, on a device or as the reference."""

    folder: str
    device: str

    def __call__(self, dtype: str = "float32", **settings: object) -> Checkpoint:
        where = {} if "device_map" in settings else {"device": self.device}
        return load_checkpoint(ModelSettings(pretrained=self.folder, dtype=dtype, **where, **settings))

    def exact(self) -> Checkpoint:
        """The same weights in float64 on the CPU."""
        return exact_model(self.folder)


def exact_model(folder: object) -> Checkpoint:
    model = LlavaForConditionalGeneration.from_pretrained(str(folder), dtype=torch.float64)
    return wrap(model, llava_processor(), name="exact")


@pytest.fixture
def load(folder, device):
    return Loader(str(folder), str(device))


@pytest.fixture(scope="session")
def exact(folder):
    """The model in float64 on the CPU, for tests that do not change it."""
    return exact_model(folder)


@pytest.fixture(scope="session")
def parts():
    return {part: make_examples(*part, 7) for part in PARTS}
