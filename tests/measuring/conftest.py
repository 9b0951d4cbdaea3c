import functools

import numpy as np
import pytest
from PIL import Image
from support.models import save_llava

from lmms_manu.measuring.passages import Passage
from lmms_manu.measuring.sums import MODALITIES, SETS
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def llava_folder(tmp_path_factory):
    return save_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture
def load(llava_folder):
    """Loads the tiny model anew, so that no test sees what another did to it."""

    def load(folder=llava_folder):
        return load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))

    return load


@functools.lru_cache
def noise(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def make_passages(group, modality, number):
    """Passages of very different lengths, each with a picture of its own if multimodal."""
    passages = []
    for index in range(number):
        question = f"USER: {'<image>' if modality == 'multimodal' else ''}{group} {'why ' * (index % 5)}?\nASSISTANT:"
        seed = index + 100 * len(group)
        pictured = modality == "multimodal"
        passages.append(
            Passage(
                label=f"{group} {modality} sample {index}",
                question=question,
                answer=f" because {index}{'.' * (3 * index % 7)}",
                pictures=functools.partial(lambda seed: [noise(seed)], seed) if pictured else list,
                picture_digest=str(seed) if pictured else "",
            )
        )
    return passages


@pytest.fixture
def parts():
    """Nineteen passages for each part, so that the last batch is smaller for any batch size but one."""
    return {(group, modality): make_passages(group, modality, 19) for group in SETS for modality in MODALITIES}
