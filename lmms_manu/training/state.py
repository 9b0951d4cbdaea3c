"""Where the state of a training lies, so that one that was stopped goes on, and no two write into one folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmms_manu.measuring.processes import Processes
from lmms_manu.variables import cache_folder

_STATE_FILE = "trainer_state.json"
"""Written last, so that a state without it is not whole."""


@contextlib.contextmanager
def state_folder(determinants: Mapping[str, Any] | None) -> Iterator[Path]:
    """The folder of the state of a training, removed once the training is through, and kept where it fails.

    Args:
        determinants: all that the training depends on; None for a folder that nobody will go on from.
    """
    processes = Processes.current()
    with contextlib.ExitStack() as held:
        folder = None
        if processes.first:
            folder = _own_folder(determinants, held) if determinants is not None else None
            folder = folder or Path(held.enter_context(tempfile.TemporaryDirectory(prefix="lmms-manu-training-")))
        path = Path(processes.from_first(str(folder)))
        yield path
        if processes.first:
            shutil.rmtree(path, ignore_errors=True)


def last_state(folder: Path) -> Path | None:
    """The latest whole state in a folder; None where there is none, or not every process sees it."""
    states = [path.parent for path in folder.glob(f"checkpoint-*/{_STATE_FILE}")]
    found = max(states, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    seen = Processes.current().gather(str(found))
    return found if len(set(seen)) == 1 else None


@contextlib.contextmanager
def own_random_state() -> Iterator[None]:
    """Gives back the state of all random number generators at the end."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if gpus:
            torch.cuda.set_rng_state_all(gpus)


def _own_folder(determinants: Mapping[str, Any], held: contextlib.ExitStack) -> Path | None:
    """The folder of these determinants, locked; None where another training has it or it cannot be made."""
    name = hashlib.sha256(json.dumps(determinants, sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_folder() / "training" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = held.enter_context((folder / "lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    return folder
