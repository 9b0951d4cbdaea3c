"""Tells by the results of a part whether its judge was there."""

from __future__ import annotations

from pathlib import Path

from lmms_manu.report.results import TaskResult, read_results_file
from lmms_manu.report.samples import read_samples


def unjudged_tasks(results: Path, has_judge: bool) -> list[str]:
    """The tasks of a results file whose judge was asked and gave no verdict at all.

    Args:
        results: a results file of the harness.
        has_judge: whether these are stock tasks with a judge, whose failures only the samples show.

    Raises:
        DataError: the results or the samples are damaged.
    """
    return [task.name for task in read_results_file(results).tasks if _is_unjudged(task, has_judge)]


def _is_unjudged(task: TaskResult, has_judge: bool) -> bool:
    if scored := task.values.get("scored"):
        return task.values.get("not_judged") == scored
    samples = read_samples(task.samples, task.name) if has_judge and task.samples else []
    return bool(samples) and all(sample.unjudged for sample in samples)
