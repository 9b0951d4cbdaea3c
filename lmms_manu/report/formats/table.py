"""What a table is made of: texts and marks that every output renders in its own way."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Entry:
    """One cell of a table.

    Args:
        text: the value, or a dash.
        change: the change against the baseline, such as `−15.5`; empty without one.
        interval: its interval, such as `[−20.1, −10.9]`, or the range of a mean over seeds; empty without one.
        rank: 1 for the best of its column, 2 for the second, 0 for the others.
        note: a word on what is missing or to bear in mind.
        number: the value to sort by.
        source: the column and view that it came from, None where there is none.
        is_mute: whether its column cannot tell forgetting from not knowing.
    """

    text: str
    change: str = ""
    interval: str = ""
    rank: int = 0
    note: str = ""
    number: float | None = None
    source: tuple[str, str] | None = None
    is_mute: bool = False


@dataclasses.dataclass(frozen=True)
class Head:
    """A column's heading: `group` spans neighbours of the same group."""

    label: str
    group: str = ""
    arrow: str = ""


@dataclasses.dataclass(frozen=True)
class Line:
    """A row of a table; `has_questions` if its numbers come from a run's own questions, `is_reference` for gold and
    controls."""

    name: str
    entries: tuple[Entry, ...]
    is_published: bool = False
    is_baseline: bool = False
    has_questions: bool = False
    note: str = ""
    is_reference: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: `title`, headings of all columns but the first, which names the row, and the rows."""

    title: str
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    caption: str = ""
