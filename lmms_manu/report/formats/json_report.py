"""A report as JSON with a versioned schema."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from lmms_manu._version import __version__
from lmms_manu.report.cells import Cell, Frontier, Report, Row, Section
from lmms_manu.report.runs import Run, versions_of

SCHEMA = "lmms-manu/report"
VERSION = 1


def build(report: Report) -> dict[str, Any]:
    """The report as tables and lists; what was not measured is left out."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "lmms_manu": __version__,
        "baseline": report.baseline,
        "runs": [run_entry(run) for run in report.runs],
        "sections": [_section(section) for section in report.sections],
        "problems": [{"kind": problem.kind, "message": problem.message} for problem in report.problems],
    }


def is_report(path: Path) -> bool:
    """Whether a file holds what `build` made, of any version."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("schema") == SCHEMA


def run_entry(run: Run) -> dict[str, Any]:
    """What a run is and where its numbers come from."""
    identity = run.identity
    return {
        "name": run.name,
        "checkpoint": identity.checkpoint,
        "method": identity.method,
        "label": identity.label,
        "variant": dict(identity.variant),
        "forget_ratio": identity.forget_ratio,
        "fingerprint": run.fingerprint,
        "settings": dict(identity.settings),
        "edit": run.edit.as_dict() if run.edit is not None else {},
        "evaluated": [file.when for file in run.files],
        "versions": versions_of(run),
        "task_versions": {name: task.version for name, task in run.tasks.items()},
    }


def number_entry(cell: Cell) -> dict[str, Any]:
    """A measured cell."""
    entry: dict[str, Any] = {
        "value": cell.value,
        "interval": cell.interval,
        "spread": cell.spread,
        "change": cell.change,
        "change_interval": cell.change_interval,
        "questions": cell.questions,
        "people": cell.people,
        "note": cell.note,
    }
    return {name: value for name, value in entry.items() if value not in (None, "")}


def numbers(row: Row) -> dict[str, dict[str, Any]]:
    """The measured cells of a row by column and view, such as `{"forget.cloze": {"mean": {"value": ...}}}`."""
    found: dict[str, dict[str, Any]] = {}
    for (name, view), cell in row.cells.items():
        if cell.value is not None:
            found.setdefault(name, {})[view] = number_entry(cell)
    return found


def _section(section: Section) -> dict[str, Any]:
    people = {"benchmark": section.benchmark, "forget_ratio": section.forget_ratio}
    entry = {**people, "rows": [_row(row) for row in section.rows]}
    frontiers = [_frontier(frontier) for frontier in section.frontiers]
    return {**entry, "frontiers": frontiers} if frontiers else entry


def _frontier(frontier: Frontier) -> dict[str, Any]:
    return {
        "name": frontier.name,
        "rows": list(frontier.members),
        "at": [{"cost": cost, **number_entry(cell)} for cost, cell in frontier.at.items()],
        "curve": [{"cost": cost, **number_entry(cell)} for cost, cell in frontier.curve],
    }


def _row(row: Row) -> dict[str, Any]:
    derived = {name: number_entry(cell) for name, cell in row.derived.items() if cell.value is not None}
    entry = {
        "name": row.name,
        "published": row.is_published,
        "baseline": row.is_baseline,
        "numbers": numbers(row),
        "derived": derived,
        "note": row.note,
    }
    attacks = [dataclasses.asdict(outcome) for outcome in row.attacks]
    tests = [{**dataclasses.asdict(cell), "test": cell.test and cell.test._asdict()} for cell in row.quality]
    further = {"attacks": attacks, "forget_quality": tests}
    return {**entry, **{name: own for name, own in further.items() if own}}
