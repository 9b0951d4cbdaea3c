"""The command in a folder such as a user works in, with caches of its own and no judge."""

import subprocess

import pytest

from lmms_manu import embedded


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return embedded.lay_out(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def variables(warm_python, tmp_path_factory):
    return {**warm_python.variables, "LMMS_MANU_CACHE": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="session")
def lmms_manu(world, warm_python, variables):
    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [warm_python.python, "-m", "lmms_manu", *words]
        return subprocess.run(
            command, cwd=world, env={**variables, **more}, capture_output=True, text=True, timeout=600
        )

    return run
