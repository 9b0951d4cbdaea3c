"""A small dataset, a tiny checkpoint and stock benchmarks in one folder, as a user's working directory."""

from __future__ import annotations

import os
from pathlib import Path

import datasets
import pytest
from support.models import save_llava
from support.stock_tasks import write_multiple_choice, write_seed_bench, write_stock_data
from support.tiny import make_dataset

CONTEXT = 1024
SHORT_CONTEXT = 400
"""Enough for the stock questions; an untrained model fills what is left of it with every answer."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """The working directory: `tiny` and `short` are checkpoints, `people` is the dataset of 20 people."""
    root = tmp_path_factory.mktemp("work")
    write_stock_data(root)
    write_multiple_choice(root)
    write_seed_bench(root)
    save_llava(root / "tiny", context=CONTEXT)
    save_llava(root / "short", context=SHORT_CONTEXT)
    make_dataset(root / "people", people=20)
    return root


@pytest.fixture(scope="session")
def environment(folder, warm_python, tmp_path_factory) -> dict[str, str]:
    """The variables of a command in that folder, all of them."""
    own = {"LMMS_MANU_DATASET": str(folder / "people"), "LMMS_MANU_CACHE": str(tmp_path_factory.mktemp("cache"))}
    return {**warm_python.variables, **own}


@pytest.fixture(scope="session")
def _caches(environment):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", Path(environment["HF_DATASETS_CACHE"]))
        yield


@pytest.fixture
def here(folder, environment, monkeypatch, _caches) -> Path:
    """This process in that folder, with these variables and without a judge."""
    monkeypatch.chdir(folder)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)
    return folder
