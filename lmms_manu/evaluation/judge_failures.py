"""Tells by the results of a part whether its judge was there."""

from __future__ import annotations

from pathlib import Path

from lmms_manu.benchmarks.sample import Sample
from lmms_manu.report.results_file import TaskResult, read_results_file
from lmms_manu.report.samples_file import read_samples


def unjudged_tasks(results: Path, has_judge: bool) -> list[str]:
    """The tasks of a results file whose judge was asked and was not there.

    A reply that no score could be read from counts as a verdict here: it would come again.

    Args:
        results: a results file of the harness.
        has_judge: whether these are stock tasks with a judge, whose failures only the samples show: they are told
            from bad answers only where there is no verdict at all.

    Raises:
        DataError: the results or the samples are damaged.
    """
    return [task.name for task in read_results_file(results).tasks if _is_unjudged(task, has_judge)]


def _is_unjudged(task: TaskResult, has_judge: bool) -> bool:
    if scored := task.values.get("scored"):
        missing = task.values.get("not_judged", 0)
        return missing == scored or (missing > 0 and any(sample.unjudged for sample in _samples(task)))
    samples = _samples(task) if has_judge else []
    return bool(samples) and all(sample.unjudged for sample in samples)


def _samples(task: TaskResult) -> list[Sample]:
    return read_samples(task.samples, task.name) if task.samples else []
