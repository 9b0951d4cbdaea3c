"""A small dataset."""

import pytest
from support.tiny import make_dataset

from lmms_manu.benchmarks.mllmu import DatasetSource


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """20 fictitious people, 6 celebrities."""
    return make_dataset(tmp_path_factory.mktemp("mllmu") / "data", people=20)


@pytest.fixture(scope="session")
def source(folder):
    return DatasetSource.resolve(str(folder))


@pytest.fixture(scope="session")
def real_sizes(tmp_path_factory):
    """As many people as MLLMU-Bench has, in tiny pictures."""
    return make_dataset(tmp_path_factory.mktemp("real-sizes") / "data", people=500, picture_size=16)
