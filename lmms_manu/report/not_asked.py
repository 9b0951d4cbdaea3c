"""What a benchmark whose data decides which tasks there are was not asked: no gap of a run, but worth a word."""

from __future__ import annotations

from collections.abc import Sequence

from lmms_manu.benchmarks.registry import get_benchmark
from lmms_manu.report.metrics import Column
from lmms_manu.report.problems import Problem
from lmms_manu.report.runs import Run


def asked_tasks(column: Column, ratio: int | None, runs: Sequence[Run]) -> dict[str, str]:
    """The tasks behind a column by modality, without those that the data has no questions for."""
    tasks = column.tasks(ratio)
    if not column.benchmark or not get_benchmark(column.benchmark).asks_what_there_is:
        return tasks
    results = [found for run in runs for task in tasks.values() if (found := run.tasks.get(task))]
    asked = {found.name for found in results if column.metric.read(found.values) is not None}
    return {view: task for view, task in tasks.items() if task in asked}


def not_asked(benchmark: str, ratio: int | None, runs: Sequence[Run]) -> list[Problem]:
    """Tasks that no run has, in groups that some run was asked, and tasks that one run lacks and another has.

    Args:
        benchmark: whose tasks are meant; of one whose tasks are always all there, nothing is said here.
        ratio: the forget ratio of the section.
        runs: the runs of the section.
    """
    asked = get_benchmark(benchmark)
    if not asked.asks_what_there_is:
        return []
    problems, nowhere = [], []
    known = [task for task in asked.tasks() if task.ratio in (None, ratio)]
    for group in dict.fromkeys(task.group for task in known):
        names = [task.name for task in known if task.group == group]
        somewhere = [name for name in names if any(name in run.tasks for run in runs)]
        nowhere += [name for name in names if somewhere and name not in somewhere]
        for run in runs:
            missing = [name for name in somewhere if name not in run.tasks]
            if missing and len(missing) < len(somewhere):
                problems.append(Problem("missing", f"{run.name}: {group} was run without {', '.join(missing)}."))
    if nowhere:
        message = f"{asked.title}: there are no questions for {', '.join(nowhere)}; means are over what was asked."
        problems.append(Problem("not-asked", message))
    return problems
