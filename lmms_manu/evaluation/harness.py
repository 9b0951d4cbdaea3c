"""Runs lmms-eval as users start it, in a process of its own, and tells by its results file whether it worked.

The harness's command line exits with 0 on every failure of an evaluation, so its exit code says nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from lmms_manu.errors import ManuError, SettingError
from lmms_manu.evaluation.children import Child, check_not_ended, child
from lmms_manu.evaluation.jobs import DONE, WORKER, job
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
        return [*self.launcher(), "-m", "lmms_eval", *self.words()]

    def launcher(self) -> list[str]:
        """What starts the processes that it takes; a module follows."""
        launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(self.processes)]
        return [sys.executable, *(launcher if self.processes > 1 else ())]

    def words(self) -> list[str]:
        """The words of the command line."""
        words = []
        for name, value in self.config().items():
            if value == "":
                continue
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        return words


class Harness(contextlib.AbstractContextManager["Harness"]):
    """lmms-eval in a process of its own, which runs one evaluation after the other as its command line would.

    The process starts with the first evaluation, stays for the next ones, and is started anew after one that it did
    not survive. It ends with the block.

    Args:
        folder: the working directory, where the harness looks for local copies of models and datasets.
        environment: variables beside those of this process.
        echo: shows the harness's output while it runs.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None, *, echo: bool = False) -> None:
        self._folder = folder
        self.environment = dict(environment or {})
        self._echo = echo
        self._open = contextlib.ExitStack()
        self._child: Child | None = None
        self._processes = 1

    def __exit__(self, *error: object) -> bool | None:
        self._child = None
        return self._open.__exit__(*error)  # type: ignore[arg-type]

    def run(self, run: HarnessRun, environment: Mapping[str, str] | None = None) -> Path:
        """Runs one evaluation.

        Args:
            run: what to evaluate.
            environment: variables for this evaluation alone.

        Returns:
            The results file.

        Raises:
            HarnessError: there is no results file with every task.
            EndedError: the process was ended together with others.
        """
        log = run.output / LOG
        log.parent.mkdir(parents=True, exist_ok=True)
        with writing(log), log.open("w", encoding="utf-8", errors="replace") as file:
            survived = self._ask(run, environment or {}, file)
        check_not_ended()
        try:
            return _find_results(run, log)
        except HarnessError:
            # Of several processes one may wait for another that has failed.
            survived &= run.processes == 1
            raise
        finally:
            if not survived:
                self._end()

    def _ask(self, run: HarnessRun, environment: Mapping[str, str], log: TextIO) -> bool:
        """Has an evaluation run and its output written; returns whether the process is there for another one."""
        worker = self._worker(run)
        worker.tell(job(run.words(), environment))
        for line in worker:
            if DONE in line:
                return True
            log.write(line)
            log.flush()
            if self._echo:
                sys.stderr.write(line)
        return False

    def _worker(self, run: HarnessRun) -> Child:
        if self._child is not None and self._processes == run.processes:
            return self._child
        self._end()
        variables = {**os.environ, **_for_processes(run), **self.environment}
        command = [*run.launcher(), "-m", WORKER]
        self._child = self._open.enter_context(child(command, folder=self._folder, variables=variables, listens=True))
        self._processes = run.processes
        return self._child

    def _end(self) -> None:
        """Ends the process, whatever it does."""
        if self._child is not None:
            self._child.end()
            self._child = None
        self._open.close()


def run(run: HarnessRun, *, folder: Path, environment: Mapping[str, str] | None = None, echo: bool = False) -> Path:
    """Runs one evaluation; arguments, result and errors as of `Harness`."""
    with Harness(folder, environment, echo=echo) as harness:
        return harness.run(run)


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


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    return "\n".join([f" The end of {log}:", *(f"  | {line}" for line in lines)])
