"""A report as CSV, one number a line."""

from __future__ import annotations

import csv
import io

from lmms_manu.report.cells import Cell, Report, Row, Section
from lmms_manu.report.metrics import columns_by_name

FIELDS = (
    "forget_ratio",
    "run",
    "published",
    "split",
    "metric",
    "modality",
    "value",
    "low",
    "high",
    "change",
    "change_low",
    "change_high",
    "questions",
    "people",
    "note",
    "benchmark",
)


def render(report: Report) -> str:
    """A line for every number that was measured; derived numbers have the split `derived`.

    `low` and `high` are the ends of the 95 % interval; for a mean over seeds, the lowest and the highest value.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for section in report.sections:
        for row in section.rows:
            for (name, view), cell in row.cells.items():
                column = columns_by_name()[name]
                if cell.value is not None:
                    writer.writerow(_line(section, row, column.split, column.metric.name, view, cell))
            for name, cell in row.derived.items():
                if cell.value is not None:
                    writer.writerow(_line(section, row, "derived", name, "", cell))
    return text.getvalue()


def _line(section: Section, row: Row, split: str, metric: str, view: str, cell: Cell) -> list[object]:
    low, high = cell.interval or cell.spread or (None, None)
    change_low, change_high = cell.change_interval or (None, None)
    numbers = [cell.value, low, high, cell.change, change_low, change_high]
    texts = ["" if number is None else f"{number:.6g}" for number in numbers]
    counts = ["" if count is None else count for count in (cell.questions, cell.people)]
    ratio = "" if section.forget_ratio is None else section.forget_ratio
    place = [ratio, _inert(row.name), int(row.is_published), split, metric, view]
    return [*place, *texts, *counts, _inert(cell.note), section.benchmark]


def _inert(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
