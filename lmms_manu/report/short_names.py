"""Names that fit a plot and a sentence: of a long label the shortest beginning that tells it from all others."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from lmms_manu.methods.record import EditRecord
from lmms_manu.report.cells import Row, Section

_SHORT = 24
"""As many letters as fit anywhere."""


def shortened(section: Section) -> Section:
    """The section with short names: `npo` where one row alone is of that method; names that users gave stay.

    The one control of a run, or the mean of its controls, is called so.
    """
    names = {row.name: _short(row, section.rows) for row in section.rows}
    names |= {control.name: f"control of {names[row.name]}" for row, control in _controls(section.rows)}
    rows = tuple(
        dataclasses.replace(
            row,
            name=names[row.name],
            controls=tuple(names.get(name, name) for name in row.controls),
            members=tuple(names.get(name, name) for name in row.members),
        )
        for row in section.rows
    )
    return dataclasses.replace(section, rows=rows)


def _controls(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """The runs with one control, or one mean of controls, that is of no other run, each with that."""
    runs = [row for row in rows if row.controls and row.is_candidate]
    for row in runs:
        others = {name for other in runs if other is not row for name in other.controls}
        means = [mean for mean in rows if mean.members and {*mean.members} <= {*row.controls}]
        single = [other for other in rows if other.name in row.controls] if len(row.controls) == 1 else []
        found = [one for one in (*means, *single) if not {one.name, *one.members} & others]
        if len(found) == 1:
            yield row, found[0]


def _short(row: Row, rows: Sequence[Row]) -> str:
    edit = row.run.edit if row.run else None
    if edit is None or row.name != edit.label:
        return row.name
    return short_label(edit, row.name, [other.name for other in rows if other is not row])


def short_label(edit: EditRecord, label: str, others: Sequence[str]) -> str:
    """The shortest beginning of the label of an edit with which no other one begins; a label that fits is left."""
    entries = list(edit.variant.items()) if len(label) > _SHORT else []
    for count in range(len(entries)):
        beginning = dataclasses.replace(edit, variant=dict(entries[:count])).label
        if not any(other == beginning or other.startswith(f"{beginning} ") for other in others):
            return beginning
    return label
