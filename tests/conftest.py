"""Settings that hold for every test."""

import gc
import os
import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import register_random, settings
from support.quick_yaml import read_quickly
from support.warm_python import WarmPython

# Two busy cores make timings meaningless, and the first call of a function imports what it needs.
# Examples are the same in each run: what fails here fails everywhere.
settings.register_profile("project", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("project")

# Nothing is looked up on a hub: where there is no network, each try would take most of a minute.
os.environ["HF_HUB_OFFLINE"] = "1"

# What the datasets package converts tables to is no test's to find again; the variable is read when it is imported.
_datasets = tempfile.TemporaryDirectory(prefix="datasets-")
os.environ["HF_DATASETS_CACHE"] = _datasets.name

read_quickly()

# Sums that are split over threads may be rounded in another way from call to call, and some tests compare bits.
torch.set_num_threads(1)


class _TorchRandom:
    """Torch's own generator, for hypothesis, which seeds those of Python and numpy before each example."""

    seed = staticmethod(torch.manual_seed)
    getstate = staticmethod(torch.get_rng_state)
    setstate = staticmethod(torch.set_rng_state)


_torch_random = _TorchRandom()  # hypothesis keeps no reference of its own
register_random(_torch_random)


# Files are handed out whole and in order: what takes a minute must not be the last that one of the workers gets.
_LONGEST = (
    "acceptance/test_docs_commands.py",
    "acceptance/test_readme_commands.py",
    "evaluation/test_sweep.py",
    "evaluation/test_utility.py",
    "benchmarks/test_guest.py",
    "plugins/test_model.py",
    "plugins/test_harness_processes.py",
    "test_types.py",
    "test_packaging.py",
)


def pytest_collection_modifyitems(items):
    places = {str(Path(__file__).parent / name): place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(str(item.path), len(places)))


def pytest_collection_finish():
    """Spares the garbage collector the millions of objects that imported libraries keep: it takes half of the time."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish():
    """Lets libraries take down at the end what is theirs, as they would."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _seeds():
    """Weights that a test's model begins with are the same in each run and in any order of tests."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def warm_python(tmp_path_factory):
    """Executables that start at once, with variables for commands that need no GPU and no judge."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "LMMS_MANU_"))}
    own = {
        # In the folder that a command runs in: without a hub, datasets takes another folder of the same name from it.
        "HF_DATASETS_CACHE": ".datasets",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    with WarmPython({**kept, **own}) as warm:
        yield warm


@pytest.fixture(scope="session")
def in_two_processes(warm_python):
    """Runs a script as two processes that work together, as torchrun starts them; it has to end well in both."""

    def run(script: Path, *words: str, **variables: str) -> None:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        command = [warm_python.python, *launcher, str(script), *words]
        environment = {**warm_python.variables, **variables}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr[-3000:]

    return run


def pytest_terminal_summary(terminalreporter):
    """Says in one line what was not tested for want of a program, and how to have it tested."""
    skipped = terminalreporter.stats.get("skipped", ())
    missing = [report for report in skipped if "chromium" in str(report.longrepr)]
    if missing:
        files = sorted({report.nodeid.partition("::")[0] for report in missing})
        terminalreporter.write_line(
            f"Not run: {len(missing)} tests in a browser ({', '.join(files)}). Install chromium and chromedriver "
            f"(Debian: apt-get install chromium chromium-driver), then run `make test TESTS='{' '.join(files)}'`.",
            yellow=True,
        )
