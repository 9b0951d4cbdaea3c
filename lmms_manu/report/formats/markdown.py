"""A report as Markdown."""

from __future__ import annotations

from lmms_manu.report.cells import Report
from lmms_manu.report.formats.table import Entry, Head, Table
from lmms_manu.report.formats.tables import notes_of, reading_notes, tables_of


def render(report: Report) -> str:
    """The whole report: tables of every section, then the notes."""
    parts = ["# Unlearning report", " ".join(map(escape, reading_notes(report)))]
    for section in report.sections:
        parts += [render_table(table) for table in tables_of(section)]
    notes = notes_of(report)
    if notes:
        parts.append("\n".join(["## Notes", "", *(f"- {escape(note)}" for note in notes)]))
    return "\n\n".join(parts) + "\n"


def render_table(table: Table) -> str:
    """A heading and a table; best bold, second underlined."""
    lines = [f"## {escape(table.title)}", ""]
    lines.append("| " + " | ".join(["method", *map(_head, table.heads)]) + " |")
    lines.append("|" + "---|" * 1 + "---:|" * len(table.heads))
    for line in table.lines:
        lines.append("| " + " | ".join([escape(line.name), *map(_entry, line.entries)]) + " |")
    if table.caption:
        lines += ["", escape(table.caption)]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    flat = " ".join(text.split())
    for character in "\\`*_<>|[]":
        flat = flat.replace(character, f"\\{character}")
    return flat


def _head(head: Head) -> str:
    words = [head.group.removesuffix(" set"), head.label] if head.group else [head.label]
    return " ".join([*words, head.arrow]).strip()


def _entry(entry: Entry) -> str:
    text = {1: f"**{entry.text}**", 2: f"<u>{entry.text}</u>"}.get(entry.rank, entry.text)
    interval = entry.interval.replace("[", "\\[").replace("]", "\\]")
    extra = " ".join(filter(None, [entry.change, interval]))
    return f"{text} ({extra})" if entry.change else f"{text} {extra}".strip()
