"""The command in a folder such as a user works in, with caches of its own and no judge."""

import os
import subprocess
import sys

import pytest

from lmms_manu import embedded


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return embedded.lay_out(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def variables(tmp_path_factory):
    caches = tmp_path_factory.mktemp("caches")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return {**kept, "LMMS_MANU_CACHE": str(caches / "manu"), "HF_DATASETS_CACHE": str(caches / "datasets")}


@pytest.fixture(scope="session")
def lmms_manu(world, variables):
    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lmms_manu", *words]
        return subprocess.run(
            command, cwd=world, env={**variables, **more}, capture_output=True, text=True, timeout=600
        )

    return run
