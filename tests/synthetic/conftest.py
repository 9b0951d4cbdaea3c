from __future__ import annotations

from pathlib import Path

import pytest
from support.tiny import make_dataset

from lmms_manu.benchmarks.mllmu.synthetic import Population, make_population

PEOPLE = 20


@pytest.fixture(scope="session")
def population() -> Population:
    return make_population(PEOPLE, seed=0)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 20 people, seed 0. Read-only."""
    return make_dataset(tmp_path_factory.mktemp("synthetic") / "dataset", people=PEOPLE)
