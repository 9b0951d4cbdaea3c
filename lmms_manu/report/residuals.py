"""What lies beside the results of a run, such as the knowledge residual, and is of its very model."""

from __future__ import annotations

from pathlib import Path

from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK
from lmms_manu.models.settings import DEFAULT_CHECKPOINT
from lmms_manu.probing.residual import FILE, Residual
from lmms_manu.report.runs import Run


def residual_of(run: Run, forget_ratio: int | None, benchmark: str = DEFAULT_BENCHMARK) -> Residual | None:
    """The residual that lies beside or above a run's results; None if there is none of its weights, mask and people.

    Raises:
        DataError: a file of that name is damaged.
    """
    wanted = (place(unedited(run)), run.fingerprint, benchmark, forget_ratio)
    for file in beside(run, FILE):
        found = Residual.load(file)
        if (place(found.checkpoint), found.mask, found.benchmark, found.forget_ratio) == wanted:
            return found
    return None


def beside(run: Run, name: str) -> list[Path]:
    """The files of a name that lie beside or above a run's results."""
    folders = dict.fromkeys(folder for file in run.files for folder in file.folders)
    return [folder / name for folder in folders if (folder / name).is_file()]


def unedited(run: Run) -> str:
    """The weights that a run started from, as they were named."""
    return (run.edit.checkpoint if run.edit else "") or run.identity.checkpoint or DEFAULT_CHECKPOINT


def place(checkpoint: str) -> str:
    """A folder's full path, however it was written; a hub name as it is."""
    folder = Path(checkpoint).expanduser()
    return str(folder.resolve()) if folder.is_dir() else checkpoint
