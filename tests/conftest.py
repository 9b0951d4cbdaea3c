"""Settings that hold for every test."""

import random

import numpy as np
import pytest
import torch
from hypothesis import register_random, settings

# Two busy cores make timings meaningless, and the first call of a function imports what it needs.
# Examples are the same in each run: what fails here fails everywhere.
settings.register_profile("project", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("project")

# Sums that are split over threads may be rounded in another way from call to call, and some tests compare bits.
torch.set_num_threads(1)


class _TorchRandom:
    """Torch's own generator, for hypothesis, which seeds those of Python and numpy before each example."""

    seed = staticmethod(torch.manual_seed)
    getstate = staticmethod(torch.get_rng_state)
    setstate = staticmethod(torch.set_rng_state)


_torch_random = _TorchRandom()  # hypothesis keeps no reference of its own
register_random(_torch_random)


@pytest.fixture(autouse=True)
def _seeds():
    """Weights that a test's model begins with are the same in each run and in any order of tests."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


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
