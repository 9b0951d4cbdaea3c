"""Fixtures of tests that edit a tiny model: twenty fictitious people, and a LLaVA of random weights."""

import pytest

from lmms_manu.benchmarks.mllmu.source import DatasetSource
from support.models import save_llava
from support.tiny import make_dataset


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory):
    """Twenty fictitious people: one to forget at 5 %, two at 10 %."""
    return make_dataset(tmp_path_factory.mktemp("mllmu") / "data", people=20)


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch, dataset_folder):
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LMMS_MANU_DATASET", str(dataset_folder))


@pytest.fixture
def source(dataset_folder):
    return DatasetSource.resolve(str(dataset_folder))


@pytest.fixture(scope="session")
def llava_folder(tmp_path_factory):
    return save_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture
def arguments(llava_folder):
    return {"pretrained": str(llava_folder), "device": "cpu", "forget_ratio": 10}
