"""Runs lmms-eval as users start it, in a process of its own, and tells by its results file whether it worked.

The harness's command line exits with 0 on every failure of an evaluation, so its exit code says nothing.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmms_manu.errors import ManuError, SettingError
from lmms_manu.evaluation.children import child
from lmms_manu.files import writing
from lmms_manu.names import MODEL

LOG = "lmms-eval.log"
_TAIL_LINES = 25


class HarnessError(ManuError, RuntimeError):
    """lmms-eval left no complete results; the message ends in the last lines of its log."""

    exit_code = 1


@dataclasses.dataclass(frozen=True)
class HarnessRun:
    """One evaluation of the model `manu_pruned`.

    Args:
        tasks: names of tasks and groups.
        model_args: arguments of the model; empty for its defaults.
        output: the folder for results, samples and the log; a relative path is taken from the current directory.
        processes: number of processes on this machine, each with its own copy of the model.
        limit: asks only so many questions of each task; None for all.

    Raises:
        SettingError: a comma in a value, where the harness would begin the next one.
    """

    tasks: tuple[str, ...]
    model_args: Mapping[str, object]
    output: Path
    processes: int = 1
    limit: int | None = None

    def __post_init__(self) -> None:
        for name, value in {"output": self.output.absolute(), **self.model_args}.items():
            if "," in str(value):
                raise SettingError(f"{name}={str(value)!r}: lmms-eval takes no value with a comma. Name another one.")

    def config(self) -> dict[str, Any]:
        """The run as an entry of the harness's `--config` file."""
        config: dict[str, Any] = {
            "model": MODEL,
            "model_args": ",".join(f"{name}={value}" for name, value in self.model_args.items()),
            "tasks": ",".join(self.tasks),
            "output_path": str(self.output.absolute()),
            "log_samples": True,
        }
        return config if self.limit is None else {**config, "limit": self.limit}

    def command(self) -> list[str]:
        """The run as a command line."""
        launcher = (
            ["-m", "torch.distributed.run", "--nproc_per_node", str(self.processes)] if self.processes > 1 else []
        )
        words = [sys.executable, *launcher, "-m", "lmms_eval"]
        for name, value in self.config().items():
            if value == "":
                continue
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        return words


def run(run: HarnessRun, *, folder: Path, environment: Mapping[str, str] | None = None, echo: bool = False) -> Path:
    """Runs one evaluation from its own command line.

    Args:
        run: what to evaluate.
        folder: the working directory, where the harness looks for local copies of models and datasets.
        environment: variables beside those of this process.
        echo: shows the harness's output while it runs.

    Returns:
        The results file.

    Raises:
        HarnessError: there is no results file with every task.
    """
    log = run.output / LOG
    _execute(run.command(), folder, {**_for_processes(run), **(environment or {})}, log, echo)
    return _find_results(run, log)


def run_in_one_process(
    runs: Sequence[HarnessRun], *, folder: Path, environment: Mapping[str, str] | None = None
) -> list[Path]:
    """Runs several evaluations one after the other through the harness's `--config`, which saves the start-up.

    Returns and raises as `run` does; the log lies in the first run's folder.
    """
    log = runs[0].output / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    config = log.with_name("lmms-eval-config.json")
    config.write_text(json.dumps([entry.config() for entry in runs], indent=2), encoding="utf-8")
    command = [sys.executable, "-m", "lmms_eval", "--config", str(config.absolute())]
    _execute(command, folder, environment, log, echo=False)
    return [_find_results(entry, log) for entry in runs]


def _find_results(run: HarnessRun, log: Path) -> Path:
    """The newest results file of `run` that holds all of its tasks.

    Raises:
        HarnessError: there is none.
    """
    files = sorted(run.output.glob("**/*_results.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files:
        if _reported(file).issuperset(run.tasks):
            return file
    arguments = run.config()["model_args"] or "no arguments"
    raise HarnessError(f"lmms-eval left no results for {', '.join(run.tasks)} with {MODEL} ({arguments}).{_tail(log)}")


def _reported(file: Path) -> set[str]:
    """The tasks and groups in a results file; none where the harness was stopped while it wrote the file."""
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return set()
    return {*results.get("results", {}), *results.get("groups", {}), *results.get("group_subtasks", {})}


def _for_processes(run: HarnessRun) -> dict[str, str]:
    """What several processes need to work together where there is no GPU."""
    if run.processes == 1:
        return {}
    import torch  # takes seconds, and only this question needs it

    return {} if torch.cuda.is_available() else {"ACCELERATE_USE_CPU": "true"}


def _execute(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None, log: Path, echo: bool
) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    variables = {**os.environ, **(environment or {})}
    with (
        writing(log),
        log.open("w", encoding="utf-8", errors="replace") as file,
        child(command, folder=folder, variables=variables) as lines,
    ):
        for line in lines:
            file.write(line)
            file.flush()
            if echo:
                sys.stderr.write(line)


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    return "\n".join([f" The end of {log}:", *(f"  | {line}" for line in lines)])
