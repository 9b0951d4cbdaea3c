"""Finds the best and the second of each column."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from lmms_manu.report.cells import Cell, CellKey, Evidence, Row
from lmms_manu.report.metrics import VIEWS, Column


def ranked(rows: Sequence[Row], columns: Sequence[Column], evidence: Evidence | None = None) -> list[Row]:
    """Marks the best and the second of each column; of one run, and of a column that cannot tell, there is no best.

    Only candidates take part, not the baseline, gold or controls.
    """
    ranks: dict[tuple[str, CellKey], int] = {}
    for column in columns:
        for view in VIEWS:
            if evidence is not None and evidence.is_mute(column, view):
                continue
            values = {
                row.name: round(value, column.metric.digits)
                for row in rows
                if row.is_candidate and (value := row.cell(column, view).value) is not None
            }
            if len(values) < 2:
                continue
            order = sorted(set(values.values()), reverse=column.higher_is_better)
            for name, value in values.items():
                ranks[name, (column.name, view)] = order.index(value) + 1 if value in order[:2] else 0
    return [dataclasses.replace(row, cells=_with_ranks(row, ranks)) for row in rows]


def _with_ranks(row: Row, ranks: Mapping[tuple[str, CellKey], int]) -> dict[CellKey, Cell]:
    return {key: dataclasses.replace(cell, rank=ranks.get((row.name, key), 0)) for key, cell in row.cells.items()}
