import pytest
from support.models import save_llava
from support.rendered import make_examples

from lmms_manu.measuring.parts import PARTS
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


@pytest.fixture
def parts():
    """Nineteen examples for each part, so that the last batch is smaller for any batch size but one."""
    return {part: make_examples(*part, 19) for part in PARTS}
