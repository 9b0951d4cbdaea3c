"""A folder such as a user without a network has: small copies of everything, under the names of the real ones."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.stock_tasks import write_stock_data

from lmms_manu import embedded

BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    embedded.lay_out(folder)
    write_stock_data(folder, documents=2)
    # The names of the other released model; what is tested under them is the command, not the architecture.
    shutil.copytree(folder / embedded.WEIGHTS_NAME, folder / "MLLMMU/Idefics2_Vanilla")
    shutil.copytree(folder / embedded.PROCESSOR_NAME, folder / "HuggingFaceM4/idefics2-8b")
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A home directory of its own, so that nothing of this machine's caches helps or is touched."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def run(world, home):
    """Runs a command in `world` with no variable set but those that any shell has."""

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8", **variables}
        return subprocess.run(
            words, cwd=world, env=environment, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=600
        )

    return run
