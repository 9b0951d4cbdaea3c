"""The questions behind the numbers, in the compact form that the page carries."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmms_manu.benchmarks.registry import find_task
from lmms_manu.benchmarks.sample import Sample
from lmms_manu.report.cells import Report, Section
from lmms_manu.report.formats.tables import VIEW_TITLES
from lmms_manu.report.metrics import MEAN, Column, columns
from lmms_manu.report.runs import Run

_Answer = tuple[str | float | None, ...]
"""A response, and its score by each metric."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """What a number of a table is about.

    Args:
        id: such as `10/forget.cloze/text`, part of the page's addresses.
        label: for people.
        metric: whose scores to show.
        tasks: the harness's tasks.
        is_right_or_wrong: whether a score says that an answer is right or wrong, and nothing between.
        factor: what a score is multiplied with to be shown.
    """

    id: str
    label: str
    metric: str
    tasks: tuple[str, ...]
    is_right_or_wrong: bool
    factor: int = 1


def selections(report: Report) -> list[Selection]:
    """Every set of questions that some number of the report averages over and that has a samples file."""
    asked = {task for run in report.runs for task in run.tasks if run.tasks[task].samples is not None}
    found = []
    for section in report.sections:
        for column in section.columns:
            by_view = column.tasks(section.forget_ratio)
            views = {MEAN: tuple(by_view.values()), **{view: (task,) for view, task in by_view.items()}}
            for view, tasks in views.items():
                present = tuple(task for task in tasks if task in asked)
                if present:
                    identifier, title = selection_id(section, column.name, view), _title(section, column, view)
                    metric = column.metric
                    factor = 100 if metric.maximum == 1 else 1
                    found.append(Selection(identifier, title, metric.name, present, metric.is_right_or_wrong, factor))
    return found


def selection_id(section: Section, column: str, view: str) -> str:
    return f"{section.key}/{column}/{view}"


def _title(section: Section, column: Column, view: str) -> str:
    parts = [section.title, column.title, column.metric.label]
    return " · ".join(parts if column.task else [*parts, VIEW_TITLES[view]])


def task_data(task: str, runs: Sequence[Run]) -> dict[str, Any]:
    """All runs' answers to a task's questions, as lists in the order of the questions.

    Returns:
        `person`, `question`, `target`, `picture` (a key of the thumbnails, or None); `metrics`, the names of the
        scores; `answers`, for each question those that any run gave, each once, as the response and its scores in the
        order of the metrics; under `runs` for each run the places of its answers among these, None where it was not
        asked. Many runs give the same answers, which makes all of this much smaller.
    """
    answered = {run.name: {sample.key: sample for sample in run.samples(task) or ()} for run in runs}
    keys = dict.fromkeys(key for samples in answered.values() for key in samples)
    first = [next(samples[key] for samples in answered.values() if key in samples) for key in keys]
    asked = {name: samples for name, samples in answered.items() if samples}
    metrics = [
        name
        for name in _metrics_of(task)
        if any(name in sample.scores for samples in asked.values() for sample in samples.values())
    ]
    different: list[dict[_Answer, int]] = [{} for _ in keys]
    places = {name: _places(samples, keys, metrics, different) for name, samples in asked.items()}
    return {
        "person": [sample.person for sample in first],
        "question": [sample.question for sample in first],
        "target": [sample.target for sample in first],
        "picture": [picture_key(task, sample) for sample in first],
        "metrics": metrics,
        "answers": [list(answers) for answers in different],
        "runs": places,
    }


def picture_key(task: str, sample: Sample) -> str | None:
    """What the page calls the picture of a question, None without one."""
    known = find_task(task)
    return f"{known.benchmark}/{sample.picture}" if known and sample.picture else None


def pictures_of(tasks: Iterable[str], runs: Sequence[Run]) -> dict[str, tuple[str, str]]:
    """The pictures that the questions of `tasks` show, each once: by key the benchmark and its word for it."""
    samples = ((task, sample) for task in tasks for run in runs for sample in run.samples(task) or ())
    keys = ((picture_key(task, sample), sample.picture) for task, sample in samples)
    return {key: (key.partition("/")[0], picture) for key, picture in keys if key}


def _metrics_of(task: str) -> list[str]:
    """The metrics whose scores a task's questions may have, in the order of columns."""
    found = [column for column in columns() if column.task == task or any(one.name == task for one in column.members)]
    return [column.metric.name for column in found]


def _places(
    samples: Mapping[str, Sample], keys: Iterable[str], metrics: Sequence[str], different: Sequence[dict[_Answer, int]]
) -> list[int | None]:
    """Where a run's answers stand among the different ones to each question, which they are added to."""
    found: list[int | None] = []
    for key, answers in zip(keys, different, strict=True):
        sample = samples.get(key)
        if sample is None:
            found.append(None)
        else:
            answer = (sample.response, *(_score(sample, name) for name in metrics))
            found.append(answers.setdefault(answer, len(answers)))
    return found


def _score(sample: Sample, metric: str) -> float | None:
    if metric not in sample.scores:
        return None
    points, possible = sample.scores[metric]
    return round(points / possible, 3) if possible else None
