"""The questions behind the numbers, in the compact form that the page carries."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from lmms_manu.report.cells import Report, Section
from lmms_manu.report.formats.tables import SPLIT_TITLES, VIEW_TITLES
from lmms_manu.report.metrics import COLUMNS_BY_NAME, MEAN, MLLMU_METRICS, UTILITY, UTILITY_METRICS
from lmms_manu.report.runs import Run
from lmms_manu.report.samples import Picture, Sample

_METRICS = tuple(metric.name for metric in (*MLLMU_METRICS, *UTILITY_METRICS))


@dataclasses.dataclass(frozen=True)
class Selection:
    """What a number of a table is about.

    Args:
        id: such as `10/forget.cloze/text`, part of the page's addresses.
        label: for people.
        metric: whose scores to show.
        tasks: the harness's tasks.
    """

    id: str
    label: str
    metric: str
    tasks: tuple[str, ...]


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
                    title = selection_title(section, column.name, view)
                    found.append(
                        Selection(selection_id(section, column.name, view), title, column.metric.name, present)
                    )
    return found


def selection_id(section: Section, column: str, view: str) -> str:
    return f"{section.forget_ratio or 'all'}/{column}/{view}"


def selection_title(section: Section, column: str, view: str) -> str:
    entry = COLUMNS_BY_NAME[column]
    parts = [section.title, SPLIT_TITLES[entry.split], entry.metric.label]
    return " · ".join(parts if entry.split == UTILITY else [*parts, VIEW_TITLES[view]])


def task_data(task: str, runs: Sequence[Run]) -> dict[str, Any]:
    """All runs' answers to a task's questions, as lists in the order of the questions.

    Returns:
        `person`, `question`, `target`, `picture` (a key of the thumbnails, or None), and under `runs` for each run
        `response` (None where it was not asked) and `scores`, lists by metric.
    """
    answered = {run.name: {sample.key: sample for sample in run.samples(task) or ()} for run in runs}
    keys = dict.fromkeys(key for samples in answered.values() for key in samples)
    first = [next(samples[key] for samples in answered.values() if key in samples) for key in keys]
    return {
        "person": [sample.person for sample in first],
        "question": [sample.question for sample in first],
        "target": [sample.target for sample in first],
        "picture": [picture_key(sample.picture) for sample in first],
        "runs": {name: _answers(samples, keys) for name, samples in answered.items() if samples},
    }


def picture_key(picture: Picture | None) -> str | None:
    return None if picture is None else f"{picture.config}/{picture.row}/{picture.index}"


def pictures_of(tasks: Iterable[str], runs: Sequence[Run]) -> dict[str, Picture]:
    """The pictures that the questions of `tasks` show, each once."""
    samples = (sample for task in tasks for run in runs for sample in run.samples(task) or ())
    return {key: sample.picture for sample in samples if sample.picture and (key := picture_key(sample.picture))}


def _answers(samples: dict[str, Sample], keys: Iterable[str]) -> dict[str, Any]:
    ordered = [samples.get(key) for key in keys]
    measured = [name for name in _METRICS if any(sample and name in sample.scores for sample in ordered)]
    return {
        "response": [sample.response if sample else None for sample in ordered],
        "scores": {name: [_score(sample, name) for sample in ordered] for name in measured},
    }


def _score(sample: Sample | None, metric: str) -> float | None:
    if sample is None or metric not in sample.scores:
        return None
    points, possible = sample.scores[metric]
    return round(points / possible, 3) if possible else None
