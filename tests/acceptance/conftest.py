"""A folder such as a user without a network has: small copies of everything, under the names of the real ones."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.warm_python import WarmPython

from lmms_manu import embedded
from lmms_manu.cli.main import main

BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    embedded.lay_out(folder)
    # The names of the other released model; what is tested under them is the command, not the architecture.
    shutil.copytree(folder / embedded.WEIGHTS_NAME, folder / "MLLMMU/Idefics2_Vanilla")
    shutil.copytree(folder / embedded.PROCESSOR_NAME, folder / "HuggingFaceM4/idefics2-8b")
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A home directory of its own, so that nothing of this machine's caches helps or is touched."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def shell(home):
    """The variables that any shell has, and a thread for a busy core."""
    return {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture(scope="session")
def warm(shell):
    with WarmPython(shell) as warm:
        yield warm


def _runner(folder, environment):
    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=folder,
            env={**environment, **variables},
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=600,
        )

    return run


@pytest.fixture(scope="session")
def run_from_scratch(world, shell):
    """Runs a command in `world` as a user does, start-up and all."""
    return _runner(world, shell)


@pytest.fixture(scope="session")
def run(world, warm):
    """Runs a command in `world`; its interpreter has imported everything."""
    return _runner(world, warm.variables)


@pytest.fixture
def rehearse(world, monkeypatch, capsys):
    """Checks a command with `--dry-run` by its entry point, in this process, which has imported what it needs."""

    def rehearse(command: str) -> str | None:
        assignments, _, words = command.partition("lmms-manu ")
        with monkeypatch.context() as patch:
            patch.chdir(world)
            for assignment in ("OPENAI_API_KEY=none-is-called", *shlex.split(assignments)):
                patch.setenv(*assignment.split("=", 1))
            code = main([*shlex.split(words), "--dry-run"])
        return f"{command}\n{capsys.readouterr().err}" if code else None

    return rehearse
