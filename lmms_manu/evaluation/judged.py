"""Tells by the results of a part whether its judge was there."""

from __future__ import annotations

import json
from pathlib import Path

from lmms_manu.report.results import TaskResult, read_results_file
from lmms_manu.report.samples import read_samples


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
        return missing == scored or (missing > 0 and task.samples is not None and _was_unreachable(task.samples))
    samples = read_samples(task.samples, task.name) if has_judge and task.samples else []
    return bool(samples) and all(sample.unjudged for sample in samples)


def _was_unreachable(samples: Path) -> bool:
    """Whether an answer to one of our own questions has no verdict for want of the endpoint."""
    with samples.open(encoding="utf-8") as lines:
        return any(json.loads(line).get("not_judged", {}).get("unreachable") for line in lines)
