"""Which strength of each method to take at a cost: chosen on validation people, whom no reported number is about."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from lmms_manu.benchmarks.base import MODALITIES, Role
from lmms_manu.benchmarks.registry import get_benchmark
from lmms_manu.errors import DataError
from lmms_manu.methods.choice import Trial, validation_people
from lmms_manu.report.cells import Report, Row, Section
from lmms_manu.report.comparison import compare
from lmms_manu.report.metrics import columns
from lmms_manu.report.runs import Run

_RESAMPLES = 20
"""Draws where only values are read."""


@dataclasses.dataclass(frozen=True)
class Choices:
    """The strengths that were chosen, and on whom.

    Args:
        people: the validation people, whom no reported number is about.
        trials: what each strength of a method did to them, by the method's name.
    """

    people: frozenset[str]
    trials: Mapping[str, tuple[Trial, ...]]


def choices(
    runs: Sequence[Run], strengths: Mapping[str, Mapping[float, str]], baseline: str, gold: str | None
) -> Choices:
    """What each strength of each method did to the validation people.

    What was lost on those to forget counts as far as gold's score, where there is gold: beyond it lies damage.

    Args:
        runs: the results.
        strengths: for each method the names of its runs by strength.
        baseline: the name of the run before unlearning.
        gold: the name of the run that never met those to forget, None without one.

    Raises:
        DataError: the runs are about several sets of people, or have no samples.
    """
    forget, retain = (_people(runs, baseline, role) for role in ("forget", "retain"))
    if min(len(forget), len(retain)) < 2:
        raise DataError(
            f"there are samples about {len(forget)} people to forget and {len(retain)} to retain: a strength is chosen "
            "on a part of each, and told of the rest. Evaluate the splits of both, without --limit."
        )
    chosen_on = validation_people(forget) | validation_people(retain)
    others = (forget | retain) - chosen_on
    section = only_section(compare(runs, baseline, gold=gold, resamples=_RESAMPLES, leave_out=others))
    rows = {row.name: row for row in section.rows}
    return Choices(
        chosen_on,
        {
            method: tuple(
                Trial(
                    value,
                    _lost(rows[name], section, "forget", rows[gold] if gold else None),
                    _lost(rows[name], section, "retain", None),
                )
                for value, name in own.items()
                if name in rows
            )
            for method, own in strengths.items()
        },
    )


def only_section(report: Report) -> Section:
    """The one section of a report.

    Raises:
        DataError: its runs are about several sets of people.
    """
    if len(report.sections) != 1:
        titles = ", ".join(section.title for section in report.sections)
        raise DataError(f"the runs are about several sets of people ({titles}): compare them one by one.")
    return report.sections[0]


def _people(runs: Sequence[Run], baseline: str, role: Role) -> set[str]:
    """The people whom the baseline's samples of a benchmark's splits of this role are about."""
    vanilla = next(run for run in runs if run.name == baseline)
    wanted = {
        task.name
        for column in columns()
        if column.benchmark
        and any(split.role == role and split.name == column.split for split in get_benchmark(column.benchmark).splits)
        for task in column.members
    }
    asked = (sample for task in vanilla.tasks if task in wanted for sample in vanilla.samples(task) or ())
    return {sample.person for sample in asked if sample.is_scored}


def _lost(row: Row, section: Section, role: Role, gold: Row | None) -> float:
    """Points of 100 lost against the baseline on the splits of a role, mean over metrics and modalities."""
    assert section.baseline is not None
    splits = {split.name for split in get_benchmark(section.benchmark).splits if split.role == role}
    lost = []
    for column in section.columns:
        if column.benchmark != section.benchmark or column.split not in splits or not column.metric.in_rates:
            continue
        factor = (100 if column.metric.higher_is_better else -100) / column.metric.maximum
        for view in MODALITIES:
            sides = [one.cell(column, view).value for one in (section.baseline, row, gold) if one is not None]
            if len(known := [factor * value for value in sides if value is not None]) == len(sides):
                lost.append(known[0] - max(known[1:]))
    return float(np.mean(lost)) if lost else float("nan")
