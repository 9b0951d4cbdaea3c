"""A report in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from lmms_manu.benchmarks.base import MODALITIES
from lmms_manu.report.cells import Report, Section
from lmms_manu.report.formats.attack_tables import attacks
from lmms_manu.report.formats.quality_tables import forget_quality
from lmms_manu.report.formats.table import Entry, Table
from lmms_manu.report.formats.tables import (
    at_costs,
    changes,
    derived,
    main_numbers,
    notes_of,
    overview,
    quality,
    reading_notes,
    validity,
)
from lmms_manu.report.metrics import MEAN, UTILITY
from lmms_manu.report.verdict import verdict
from lmms_manu.terminal import print_table

_STYLES = {0: "", 1: "bold", 2: "underline"}


def show(report: Report, console: Console) -> None:
    """Prints the tables that fit a screen: means over both modalities, derived numbers, notes."""
    for section in report.sections:
        for sentence in verdict(section):
            console.print(Text(f"{section.title}: {sentence}", style="bold"))
        for table in _tables(section):
            show_table(table, console)
    for note in reading_notes(report):
        console.print(Text(note))
    for note in notes_of(report):
        console.print(Text(f"note: {note}", style="yellow"))


def show_table(table: Table, console: Console) -> None:
    """Prints one table; best bold, second underlined."""
    view = RichTable(title=Text(table.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    view.add_column("method")
    labels = [head.label for head in table.heads]
    for head in table.heads:
        words = [head.group] if head.group and labels.count(head.label) > 1 else []
        view.add_column(Text(" ".join([*words, head.label, head.arrow]).strip()), justify="right")
    for line in table.lines:
        style = "dim" if line.is_published or line.is_reference else ""
        view.add_row(Text(line.name, style=style), *map(_entry, line.entries))
    print_table(view, console)


def _tables(section: Section) -> list[Table]:
    splits: list[Table | None] = [overview(section)]
    if section.baseline is not None:
        splits = [changes(section, split, view) for split in section.splits for view in _views(section, split)]
        splits += [changes(section, UTILITY)] if section.columns_of(UTILITY) else []
    ordered = (main_numbers(section), at_costs(section), attacks(section), *splits, derived(section))
    ordered += (forget_quality(section), validity(section), quality(section))
    return [table for table in ordered if table is not None]


def _views(section: Section, split: str) -> Sequence[str]:
    """The mean of both modalities, or those that were measured if no run has both."""

    def measured(view: str) -> bool:
        return any(row.cell(column, view).value is not None for column in section.columns_of(split) for row in rows)

    rows = [row for row in section.rows if not row.is_published]
    return [MEAN] if measured(MEAN) else [view for view in MODALITIES if measured(view)]


def _entry(entry: Entry) -> Text:
    text = Text(entry.text, style="dim" if entry.is_mute else _STYLES.get(entry.rank, ""))
    for extra in filter(None, [entry.change, entry.interval]):
        text.append(f"\n{extra}", style="not bold not underline dim")
    return text
