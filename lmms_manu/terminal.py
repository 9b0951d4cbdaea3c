"""Tables in a terminal that keep every digit at any width."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

_LONGEST_WORD = 16
"""Longer words of a text are folded where there is no room for them; numbers never are."""


def table_console(width: int = 160) -> Console:
    """A console for tables: a pipe or a file gets them `width` wide, whatever width its terminal claims."""
    console = Console()
    return console if console.is_terminal else Console(width=width)


def print_table(table: Table, console: Console) -> None:
    """Prints a table; where it is too wide, in pieces below each other, each with the first column.

    Columns that are justified to the right hold numbers: they are as wide as their longest one.
    """
    for piece in pieces(table, console):
        console.print(piece)


def pieces(table: Table, console: Console) -> Iterator[Table]:
    """The table in as many parts as the console's width asks for, with fixed widths."""
    columns = [_Column.of(column) for column in table.columns]
    left, title = columns[1:], table.title
    while True:
        count = next(
            (n for n in range(len(left), 1, -1) if _width(table, [columns[0], *left[:n]], console) <= console.width), 1
        )
        shown, left = [columns[0], *left[:count]], left[count:]
        spare = console.width - _width(table, shown, console)
        widths = _widened(shown, spare)
        # Where there is no room even for one number beside it, the first column gives way.
        widths[0] = max(1, widths[0] + min(0, spare))
        yield _piece(table, shown, widths, title)
        if not left:
            return
        title = None if table.title is None else Text.assemble(_text(table.title), " (continued)")


@dataclasses.dataclass(frozen=True)
class _Column:
    """A column with the width that it needs, and the one at which nothing in it is folded."""

    column: Column
    needed: int
    natural: int

    @classmethod
    def of(cls, column: Column) -> _Column:
        cells = [_text(cell) for cell in column.cells]
        lines = [line for cell in cells for line in cell.plain.split("\n")]
        head = [line for line in _text(column.header).plain.split("\n") if line]
        words = [word for line in head for word in line.split()]
        natural = max(map(cell_len, [*lines, *head]), default=1)
        if column.justify == "right":
            return cls(column, max(map(cell_len, [*lines, *words]), default=1), natural)
        words += [word for line in lines for word in line.split()]
        longest = max(map(cell_len, words), default=1)
        return cls(column, max(1, min(natural, longest, _LONGEST_WORD)), max(1, natural))


def _text(cell: object) -> Text:
    return cell if isinstance(cell, Text) else Text.from_markup(str(cell))


def _width(table: Table, columns: Sequence[_Column], console: Console) -> int:
    """What a piece with the columns at their needed widths takes up."""
    piece = _piece(table, columns, [column.needed for column in columns], None)
    return Measurement.get(console, console.options.update(max_width=10_000), piece).maximum


def _widened(columns: Sequence[_Column], spare: int) -> list[int]:
    """Widths of columns between what they need and what they would have, from left to right."""
    widths = []
    for column in columns:
        more = max(0, min(spare, column.natural - column.needed))
        widths.append(column.needed + more)
        spare -= more
    return widths


def _piece(table: Table, columns: Sequence[_Column], widths: Sequence[int], title: object) -> Table:
    piece = Table(
        title=title if title is None else _text(title),
        title_justify=table.title_justify,
        box=table.box,
        padding=table.padding,
        pad_edge=table.pad_edge,
        show_header=table.show_header,
        row_styles=table.row_styles,
    )
    for column, width in zip(columns, widths, strict=True):
        piece.add_column(column.column.header, justify=column.column.justify, width=width, overflow="fold")
    for row, cells in zip(table.rows, zip(*(column.column.cells for column in columns), strict=True), strict=True):
        piece.add_row(*cells, style=row.style, end_section=row.end_section)
    return piece
