"""Judges a report by a gate's conditions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from lmms_manu.benchmarks.registry import find_task
from lmms_manu.errors import SettingError, nearest
from lmms_manu.evidence.bootstrap import interval
from lmms_manu.report.cells import NOT_MEASURED, Cell, Report, Row, Section
from lmms_manu.report.frontiers import numbers_at_costs
from lmms_manu.report.gate.config import LARGEST_COST, Condition
from lmms_manu.report.metrics import columns_by_name
from lmms_manu.report.verdict import largest_cost

_NO_BASELINE = "there is no baseline: name one with --baseline or `baseline:`"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Whether one condition held for one run, ratio, column and modality.

    Args:
        condition: the condition.
        run: the run's name, None where there is none to judge.
        forget_ratio: of the section, None where no result belongs to one.
        column: what was read, such as `forget.cloze`.
        view: `mean` or a modality.
        held: whether it held.
        value: what was held against the limit; None if it was not measured.
        interval: its 95 % interval, where there is one.
        reason: why it did not hold, empty if it did.
    """

    condition: Condition
    run: str | None
    forget_ratio: int | None
    column: str
    view: str
    held: bool
    value: float | None = None
    interval: tuple[float, float] | None = None
    reason: str = ""

    @property
    def subject(self) -> str:
        """What was judged, such as `paper, forget.cloze, text, forget 5 %`."""
        view = "" if self.view == "mean" else self.view
        ratio = "" if self.forget_ratio is None else f"forget {self.forget_ratio} %"
        return ", ".join(part for part in (self.run or "(no run)", self.column, view, ratio) if part)


def check_conditions(report: Report, conditions: Sequence[Condition]) -> tuple[Outcome, ...]:
    """Holds every condition against every run that it is about; what was not measured does not hold.

    Raises:
        SettingError: a condition names a run that there is not.
    """
    outcomes: list[Outcome] = []
    for condition in conditions:
        _check_runs(condition, report)
        found = [
            outcome
            for section in report.sections
            if condition.is_about(section.benchmark, section.forget_ratio)
            for outcome in _check_section(condition, section)
        ]
        outcomes += found or [_missing(condition)]
    return tuple(outcomes)


def _check_section(condition: Condition, section: Section) -> list[Outcome]:
    outcomes = []
    for row in section.rows:
        if row.run is None or (not row.is_candidate if condition.runs is None else row.name not in condition.runs):
            continue
        for column in _columns(condition, row, section):
            for view in condition.views:
                outcomes.append(_outcome(condition, section, row, column, view))
    return outcomes


def _columns(condition: Condition, row: Row, section: Section) -> list[str]:
    """The columns of a condition; one on every split is about the splits that the run was asked."""
    assert row.run is not None
    if not condition.is_everywhere:
        return list(condition.columns)
    asked = [task for task in map(find_task, row.run.tasks) if task and task.benchmark == section.benchmark]
    splits = {task.split for task in asked if task.ratio in (None, section.forget_ratio)}
    known = columns_by_name()
    return [
        name for name in condition.columns if known[name].benchmark == section.benchmark and known[name].split in splits
    ]


def _outcome(condition: Condition, section: Section, row: Row, column: str, view: str) -> Outcome:
    cell = _derived(row, column) if condition.is_derived else row.cell(column, view)
    value, bounds, reason = _reading(condition, section, cell, column, view)
    if value is not None:
        has_interval = bounds is not None or not condition.interval
        reason = _shortfall(condition, value, bounds) if has_interval else _no_interval(cell, column)
    return Outcome(condition, row.name, section.forget_ratio, column, view, not reason, value, bounds, reason)


def _derived(row: Row, name: str) -> Cell:
    return largest_cost(row) if name == LARGEST_COST else row.derived.get(name, NOT_MEASURED)


def _reading(
    condition: Condition, section: Section, cell: Cell, column: str, view: str
) -> tuple[float | None, tuple[float, float] | None, str]:
    """What to hold against the limit: value, interval, and why there is none."""
    baseline = section.baseline
    if condition.is_derived:
        if baseline is None:
            return None, None, _NO_BASELINE
        return cell.value, cell.interval, _without_number(section, column, cell)
    if cell.value is None:
        return None, None, cell.note or "not measured"
    if condition.bound in ("at_least", "at_most"):
        return cell.value, cell.interval, ""
    if baseline is None:
        return None, None, _NO_BASELINE
    base = baseline.cell(column, view)
    if base.value is None:
        return None, None, f"not measured for the baseline {baseline.name}"
    if condition.bound.startswith("drop"):
        low, high = cell.change_interval or (None, None)
        bounds = None if low is None or high is None else (-high, -low)
        return base.value - cell.value, bounds, ""
    if base.value == 0:
        return None, None, f"the baseline {baseline.name} has 0, of which there is no share"
    return 100 * cell.value / base.value, _share_interval(cell, base), ""


def _without_number(section: Section, derived: str, cell: Cell) -> str:
    """Why a derived number is missing."""
    if cell.note != NOT_MEASURED.note or not derived.startswith(("share_", "damage", "distance")):
        return cell.note
    if section.evidence is None:
        return "not measured: nothing to hold vanilla against (`lmms-manu validity` says why)"
    if derived.startswith("distance") and not section.evidence.is_gold:
        return "not measured: it needs gold, named with --gold or `gold:`"
    return "not measured: no metric can tell (`lmms-manu validity` says why)"


def _share_interval(cell: Cell, base: Cell) -> tuple[float, float] | None:
    if cell.change_interval is None or cell.draws is None or base.draws is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        return interval(100 * cell.draws / base.draws)


def _shortfall(condition: Condition, value: float, bounds: tuple[float, float] | None) -> str:
    """Why a reading does not meet the limit; empty if it does."""
    is_lower = condition.bound.endswith("at_least")
    critical = value if not condition.interval or bounds is None else bounds[0 if is_lower else 1]
    # Values come from averages of floats: a limit that is met exactly is met.
    slack = 1e-9 * max(1.0, abs(condition.limit))
    if critical >= condition.limit - slack if is_lower else critical <= condition.limit + slack:
        return ""
    what = "the value" if not condition.interval else f"the {'lower' if is_lower else 'upper'} end of the interval"
    return f"{what} is {critical:.4g}, {'less' if is_lower else 'more'} than {condition.limit:g}"


def _no_interval(cell: Cell, column: str) -> str:
    """Why there is no interval to hold against the limit."""
    if cell.note and column in {number.name for number in numbers_at_costs()}:
        return f"there is no interval: this cost is {cell.note}"
    known = columns_by_name().get(column)
    if known is not None and known.metric.of_means:
        return "there is no interval: it is made of the means of other numbers"
    # Where the change has one, a share has none because in some draws the baseline scored nothing to have a share of.
    if cell.draws is not None and (cell.interval is None or cell.change_interval is not None):
        return "there is no interval: the samples are about too few people to draw from"
    return "there is no interval: it needs the samples of both runs (--log_samples), with the same questions"


def _missing(condition: Condition) -> Outcome:
    ratio = "" if condition.forget_ratio is None else f" at forget ratio {condition.forget_ratio}"
    return Outcome(
        condition=condition,
        run=None,
        forget_ratio=condition.forget_ratio,
        column=condition.metric,
        view=condition.views[0],
        held=False,
        reason=f"not measured: there is no run to judge{ratio}",
    )


def _check_runs(condition: Condition, report: Report) -> None:
    names = [run.name for run in report.runs]
    for name in condition.runs or ():
        if name not in names:
            raise SettingError(
                f"condition {condition.name!r}: there is no run {name!r} ({', '.join(names)}).{nearest(name, names)}"
            )
