"""What a tracker of experiments gets of a report's runs and of an edit: settings, scores, the training's curve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lmms_manu.methods.record import EditRecord
from lmms_manu.report.cells import Report, Row, Section
from lmms_manu.report.formats.json_report import run_entry
from lmms_manu.report.formats.numbers import on_scale
from lmms_manu.report.metrics import MEAN, VIEWS
from lmms_manu.tracking import Tracked


def tracked_runs(report: Report, group: str) -> list[Tracked]:
    """The runs of a report, one for each section that it stands in, with scores as people read them."""
    return [
        _tracked(row, section, group, many=len(report.sections) > 1)
        for section in report.sections
        for row in section.rows
        if row.run is not None
    ]


def tracked_edit(record: EditRecord, name: str, group: str) -> Tracked:
    """An edit that was made and not evaluated."""
    return Tracked(name, group, _made(record), curve=tuple(record.details.get("curve") or ()))


def _tracked(row: Row, section: Section, group: str, *, many: bool) -> Tracked:
    assert row.run is not None
    settings: dict[str, Any] = {**run_entry(row.run), "section": section.title}
    settings |= {"is_baseline": row.is_baseline, "is_gold": row.is_gold, "is_control": row.is_control}
    edit = row.run.edit
    if edit is not None:
        settings["edit"] = _made(edit)
    name = f"{row.name}, {section.title}" if many else row.name
    curve = tuple(edit.details.get("curve") or ()) if edit is not None else ()
    return Tracked(name, group, settings, dict(_scores(row, section)), curve)


def _scores(row: Row, section: Section) -> Iterator[tuple[str, float]]:
    for name, derived in row.derived.items():
        bounds = derived.interval or (None, None)
        for ending, value in (("", derived.value), ("_low", bounds[0]), ("_high", bounds[1])):
            if value is not None:
                yield f"summary/{name}{ending}", value
    for column in section.columns:
        for view in VIEWS:
            value = on_scale(row.cell(column, view), column.metric).value
            if value is not None:
                yield f"{column.name.replace('.', '/')}{'' if view == MEAN else f'_{view}'}", value


def _made(record: EditRecord) -> dict[str, Any]:
    """The record without what only a page can show, such as a thousand points."""
    return {**record.as_dict(), "details": {name: value for name, value in record.details.items() if _is_small(value)}}


def _is_small(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool)) or value is None
