"""The tables of a report, made of texts and marks that every output renders in its own way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from lmms_manu.benchmarks.base import MODALITIES
from lmms_manu.report.cells import NOT_MEASURED, Cell, Report, Row, Section
from lmms_manu.report.derived import derived_of
from lmms_manu.report.formats.attack_tables import attacks
from lmms_manu.report.formats.numbers import (
    DASH,
    change_digits,
    change_text,
    interval_text,
    on_scale,
    plain,
    spread_text,
    value_digits,
    value_text,
)
from lmms_manu.report.formats.quality_tables import forget_quality
from lmms_manu.report.formats.table import Entry, Head, Line, Table
from lmms_manu.report.frontiers import COSTS, numbers_at_costs
from lmms_manu.report.metrics import MEAN, UTILITY, VIEWS, Column, Derived, quality_columns
from lmms_manu.report.verdict import beyond_control, shown_rows

_AT_COSTS = (
    "Share forgotten in percent at a retain cost in points, interpolated between vanilla and the strengths that were "
    "tried, with 95 % intervals over people; not reached where no strength costs so much: the most that was forgotten "
    "then, and for what."
)
VIEW_TITLES = {MEAN: "mean of both modalities", "multimodal": "with the picture", "text": "text only"}


def overview(section: Section, view: str = MEAN) -> Table:
    """The paper's form: methods down, splits and metrics across; values only."""
    heads = tuple(Head(column.metric.label, column.title, column.arrow) for column in section.columns)
    lines = _lines(section, lambda row: [_value(column, row.cell(column, view), view) for column in section.columns])
    return Table(f"{section.title}, {VIEW_TITLES[view]}", heads, lines)


def changes(section: Section, split: str, view: str = MEAN) -> Table | None:
    """One split: values, their change against the baseline, and its 95 % interval; None where nothing was measured.

    A metric that no run has in this view has no column.
    """
    columns = [
        column
        for column in section.columns_of(split)
        if any(row.cell(column, view).value is not None for row in section.rows)
    ]
    if not columns:
        return None
    heads = tuple(Head(column.metric.label, arrow=column.arrow) for column in columns)
    lines = _lines(section, lambda row: [_full(column, row.cell(column, view), view) for column in columns])
    title = f"{section.title}, {columns[0].title.lower()}"
    return Table(title if split == UTILITY else f"{title}, {VIEW_TITLES[view]}", heads, lines)


def validity(section: Section) -> Table | None:
    """What each metric can tell: vanilla against gold or guessing; None where nothing was held against anything."""
    evidence = section.evidence
    if evidence is None or section.baseline is None:
        return None
    lines = []
    for column, view in ((column, view) for column in section.columns for view in MODALITIES):
        verdict = evidence.verdicts.get((column.name, view))
        if verdict is None or not column.is_forgotten:
            continue
        before = on_scale(section.baseline.cell(column, view), column.metric)
        after = on_scale(evidence.cells.get((column.name, view), NOT_MEASURED), column.metric)
        between = on_scale(Cell(verdict.difference, verdict.interval), column.metric)
        digits, change = value_digits(column.metric), change_digits(column.metric)
        entries = (
            Entry(value_text(before, digits), number=before.value, is_mute=not verdict.tells),
            Entry(value_text(after, digits), number=after.value, is_mute=not verdict.tells),
            Entry(
                DASH if between.value is None else plain(between.value, change, sign=True),
                interval=interval_text(between.interval, change, sign=True),
                number=between.value,
                is_mute=not verdict.tells,
            ),
            Entry("tells" if verdict.tells else verdict.reason, is_mute=not verdict.tells),
        )
        lines.append(Line(f"{column.title}, {column.metric.label}, {VIEW_TITLES[view]}", entries))
    if not lines:
        return None
    heads = (Head(section.baseline.name), Head(evidence.reference), Head("difference"), Head("verdict"))
    caption = (
        f"Does {section.baseline.name} know more about the people to forget than {evidence.reference}? What does not "
        "tell is grey in the tables and left out of every mean."
    )
    return Table(f"{section.title}, what the numbers can tell", heads, tuple(lines), caption)


def main_numbers(section: Section) -> Table | None:
    """The compact table: what was forgotten and what it cost, split by split; None without a baseline."""
    rows = shown_rows(section)
    known = [
        entry
        for entry in derived_of(section.benchmark)
        if _is_main(entry) and any(_says(entry, row.derived[entry.name]) for row in rows)
    ]
    if not known:
        return None
    heads = tuple(Head(entry.label, arrow="↑" if entry.higher_is_better else "↓") for entry in known)
    beyond = {row.name: beyond_control(row, section.rows) for row in rows}
    has_controls = any(beyond.values())
    lines = tuple(
        Line(
            row.name,
            (
                *(_derived(row.derived[entry.name]) for entry in known),
                *([Entry(beyond[row.name] or DASH)] if has_controls else []),
            ),
            is_reference=row.is_gold or row.is_control,
        )
        for row in rows
    )
    heads += (Head("Beyond its control"),) if has_controls else ()
    return Table(f"{section.title}: percent of the way, and points of 100 lost", heads, lines)


def at_costs(section: Section) -> Table | None:
    """Each method at the same costs, on the frontier of its strengths; None where none ran at several strengths."""
    numbers = numbers_at_costs()
    lines = tuple(
        Line(frontier.name, tuple(_at_cost(frontier.at[cost]) for cost in COSTS)) for frontier in section.frontiers
    )
    heads = tuple(Head(number.label, arrow="↑") for number in numbers)
    return Table(f"{section.title}, at the same cost", heads, lines, _AT_COSTS) if lines else None


def _at_cost(cell: Cell) -> Entry:
    if cell.value is None:
        return Entry(cell.note or DASH)
    return Entry(value_text(cell, 1), interval=interval_text(cell.interval, 1) or cell.note, number=cell.value)


def _says(entry: Derived, cell: Cell) -> bool:
    """Whether a number was measured and has something to say: that there is no damage anywhere takes no column."""
    return cell.value is not None and (entry.name != "damage" or cell.value != 0)


def _is_main(entry: Derived) -> bool:
    """Whether a number stands in the compact table."""
    of_modality = entry.name.endswith(MODALITIES)
    is_share = entry.name.startswith("share_forgotten") and not of_modality
    return is_share or entry.name.endswith("_cost") or entry.name in ("damage", "distance_to_gold")


def derived(section: Section) -> Table | None:
    """The derived numbers beside the main ones; None without a baseline."""
    shown_elsewhere = numbers_at_costs()
    known = [entry for entry in derived_of(section.benchmark) if not _is_main(entry) and entry not in shown_elsewhere]
    rows = [
        row for row in section.rows if row.derived and any(row.derived[entry.name].value is not None for entry in known)
    ]
    if not rows:
        return None
    shown = [entry for entry in known if any(row.derived[entry.name].value is not None for row in rows)]
    heads = tuple(Head(entry.label, arrow="↑" if entry.higher_is_better else "↓") for entry in shown)
    lines = _lines(section, lambda row: [_derived(row.derived[entry.name]) for entry in shown], rows)
    caption = " ".join(f"{entry.label}: {entry.meaning}." for entry in shown)
    return Table(f"{section.title}, against the baseline, in percent", heads, lines, caption)


def quality(section: Section) -> Table | None:
    """How many answers could not be read or judged, in percent; None if no task says so."""
    rows = [row for row in section.rows if not row.is_published]
    columns = [
        column
        for column in quality_columns()
        if any(row.cell(column, view).value is not None for row in rows for view in VIEWS)
    ]
    if not columns:
        return None
    heads = tuple(Head(column.metric.label, column.title, "↓") for column in columns)
    lines = _lines(section, lambda row: [_value(column, row.cell(column), MEAN) for column in columns], rows)
    return Table(f"{section.title}, answers that could not be used, in percent", heads, lines)


def tables_of(section: Section) -> list[Table]:
    """Every table of a section: main numbers, frontiers, attacks, overviews, splits with changes, the rest."""
    views = VIEWS if section.splits else (MEAN,)
    splits = [*section.splits, *([UTILITY] if section.columns_of(UTILITY) else [])]
    first = (main_numbers(section), at_costs(section), attacks(section), validity(section))
    found = [table for table in first if table is not None]
    found += [overview(section, view) for view in views]
    each: list[Table | None] = []
    if section.baseline is not None:
        each = [changes(section, split, view) for split in splits for view in (VIEWS if split != UTILITY else (MEAN,))]
    each += [derived(section), forget_quality(section), quality(section)]
    return found + [table for table in each if table is not None]


def reading_notes(report: Report) -> list[str]:
    """How the numbers of a report are to be read: their scale, what changes and brackets are."""
    measured = {
        column.metric
        for section in report.sections
        for column in section.columns
        if any(row.cell(column, view).value is not None for row in section.rows for view in VIEWS)
    }
    others = {f"{metric.label} goes up to {metric.maximum:g}" for metric in measured if metric.maximum not in (1, 100)}
    found = ["; ".join(["Scores are percent of the highest that there is", *sorted(others)]) + "."]
    if report.baseline:
        found.append(f"Changes are against {report.baseline}; brackets hold 95 % intervals, drawn over people.")
    if any(row.members for section in report.sections for row in section.rows):
        found.append("Of means over seeds, a to b are the lowest and the highest.")
    return found


def notes_of(report: Report) -> list[str]:
    """The remarks below the tables: what was left out or cut short, errata of published rows."""
    notes = [problem.message for problem in report.problems]
    for section in report.sections:
        notes += _unheard(section)
        for row in section.rows:
            if row.note:
                notes.append(f"{row.name}: {row.note}.")
    return list(dict.fromkeys(notes))


def _unheard(section: Section) -> list[str]:
    """One remark for each reason why columns cannot tell, with their names."""
    columns = {column.name: column for column in section.columns}
    reasons: dict[str, list[str]] = {}
    for (name, view), verdict in (section.evidence.verdicts if section.evidence else {}).items():
        if name in columns and view != MEAN and not verdict.tells:
            column = columns[name]
            what = f"{column.title.lower()}, {column.metric.label}, {VIEW_TITLES[view]}"
            reasons.setdefault(verdict.reason, []).append(what)
    return [
        f"{section.title}: {reason}, so these say nothing and stand in no mean: {'; '.join(named)}."
        for reason, named in reasons.items()
    ]


def _lines(
    section: Section, entries: Callable[[Row], list[Entry]], rows: Sequence[Row] | None = None
) -> tuple[Line, ...]:
    return tuple(
        Line(
            row.name,
            tuple(_heard(entry, section) for entry in entries(row)),
            row.is_published,
            row.is_baseline,
            row.run is not None,
            row.note,
            is_reference=row.is_gold or row.is_control,
        )
        for row in (section.rows if rows is None else rows)
    )


def _heard(entry: Entry, section: Section) -> Entry:
    mute = section.evidence is not None and entry.source is not None and section.evidence.is_mute(*entry.source)
    return dataclasses.replace(entry, is_mute=True) if mute else entry


def _value(column: Column, cell: Cell, view: str) -> Entry:
    cell = on_scale(cell, column.metric)
    return Entry(
        text=value_text(cell, value_digits(column.metric)),
        rank=cell.rank,
        note=cell.note,
        number=cell.value,
        source=(column.name, view),
    )


def _full(column: Column, cell: Cell, view: str) -> Entry:
    shown = _value(column, cell, view)
    cell, digits = on_scale(cell, column.metric), change_digits(column.metric)
    bounds = cell.interval if cell.change is None else cell.change_interval
    return dataclasses.replace(
        shown,
        change=change_text(cell, digits),
        interval=spread_text(cell, digits) or interval_text(bounds, digits, sign=cell.change is not None),
    )


def _derived(cell: Cell) -> Entry:
    text = value_text(cell, 1)
    interval = spread_text(cell, 1) or interval_text(cell.interval, 1)
    return Entry(text=text, interval=interval, note=cell.note, number=cell.value)
