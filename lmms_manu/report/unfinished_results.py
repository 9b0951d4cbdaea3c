"""Checks that all files of an evaluation are there: the harness only warns of a file that it could not write."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from lmms_manu.report.problems import Problem
from lmms_manu.report.results_file import RESULTS_SUFFIX, ResultsFile, TaskResult

_BLOCK = 1 << 20
_NO_MEASUREMENT = "which is no measurement and is left out: evaluate the task again."
_WRITTEN_OVER = (
    "of which it says nothing: another evaluation ended in the same second and wrote over their results. Evaluate them "
    "again, with an --output_path for each evaluation."
)


def loss(task: TaskResult) -> str:
    """Why the samples of a task cannot be those of its results; empty if they are all there, and whole."""
    if task.effective is None:
        return f"the results of {task.name} do not say how many questions were answered"
    if task.samples is None:
        return f"there is no file of the {task.effective} samples of {task.name}" if task.effective else ""
    whole, has_rest = _lines(task.samples)
    if whole > task.effective:
        return (
            f"{task.samples} holds {whole} questions, more than the {task.effective} of the results: two evaluations "
            "wrote into it in the same second, after which the harness names its files"
        )
    if whole < task.effective or has_rest:
        return (
            f"{task.samples} holds {whole} of {task.effective} questions: it was cut short, by a full disk or a quota"
        )
    return ""


def unusable(name: str, files: Sequence[ResultsFile]) -> list[Problem]:
    """One problem for each task of a run with a metric that is no finite number."""
    return [
        Problem("not-a-number", f"{name}: {task.name} has {_told(task)} in {file.path}, {_NO_MEASUREMENT}")
        for file in files
        for task in file.tasks
        if task.unusable
    ]


def overwritten(name: str, files: Sequence[ResultsFile]) -> list[Problem]:
    """One problem for each results file of a run that took the place of another."""
    return [
        Problem("missing", f"{name}: beside {file.path} lie samples of {', '.join(lost)}, {_WRITTEN_OVER}")
        for file in files
        if (lost := _strangers(file))
    ]


def _told(task: TaskResult) -> str:
    return ", ".join(f"{metric}={value}" for metric, value in task.unusable.items())


def _strangers(results: ResultsFile) -> tuple[str, ...]:
    """The tasks whose samples bear the time stamp of a results file that says nothing of them."""
    start = f"{results.path.name.removesuffix(RESULTS_SUFFIX)}_samples_"
    files = results.path.parent.glob(f"{glob.escape(start)}*.jsonl")
    found = {file.name.removeprefix(start).removesuffix(".jsonl") for file in files}
    return tuple(sorted(found - {task.name for task in results.tasks}))


def _lines(file: Path) -> tuple[int, bool]:
    """The whole lines of a file, and whether a part of one follows."""
    count, last = 0, b"\n"
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            count, last = count + block.count(b"\n"), block[-1:]
    return count, last != b"\n"
