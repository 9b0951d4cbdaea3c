"""A report as LaTeX tables with booktabs."""

from __future__ import annotations

import itertools

from lmms_manu.report.cells import Report
from lmms_manu.report.formats.numbers import DASH
from lmms_manu.report.formats.table import Entry, Head, Table
from lmms_manu.report.formats.tables import reading_notes, tables_of

_FIT_A_COLUMN = 7
_RANKS = "Best bold, second underlined."

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    DASH: "--",
    "−": "$-$",
}


def render(report: Report) -> str:
    """Every table of the report, to be included with `\\input`; needs the packages booktabs and graphicx."""
    notes = " ".join([*reading_notes(report), _RANKS])
    tables = [render_table(table, notes) for section in report.sections for table in tables_of(section)]
    return "\n\n".join(["% \\usepackage{booktabs,graphicx}", *tables]) + "\n"


def render_table(table: Table, notes: str = "") -> str:
    """One environment as wide as a column, or as both where there are many columns; best bold, second underlined.

    Args:
        table: the table.
        notes: how to read its numbers, for the caption.
    """
    star, width = ("", r"\columnwidth") if len(table.heads) <= _FIT_A_COLUMN else ("*", r"\textwidth")
    caption = " ".join(filter(None, [f"{table.title}.", table.caption, notes]))
    lines = [
        rf"\begin{{table{star}}}[t]",
        r"\centering\small",
        rf"\caption{{{escape(caption)}}}",
        rf"\resizebox{{{width}}}{{!}}{{%",
        rf"\begin{{tabular}}{{l{'r' * len(table.heads)}}}",
        r"\toprule",
        *_heads(table.heads),
        r"\midrule",
    ]
    was_published = False
    for line in table.lines:
        if line.is_published and not was_published:
            lines.append(r"\midrule")
            was_published = True
        lines.append(" & ".join([escape(line.name), *map(_entry, line.entries)]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", rf"\end{{table{star}}}"])


def escape(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def _heads(heads: tuple[Head, ...]) -> list[str]:
    labels = " & ".join(["Method", *(escape(f"{head.label} {head.arrow}".strip()) for head in heads)]) + r" \\"
    if not any(head.group for head in heads):
        return [labels]
    spans, rules, position = [""], [], 2
    for group, members in itertools.groupby(heads, key=lambda head: head.group):
        width = len(list(members))
        spans.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}")
        rules.append(rf"\cmidrule(lr){{{position}-{position + width - 1}}}")
        position += width
    return [" & ".join(spans) + r" \\", "".join(rules), labels]


def _entry(entry: Entry) -> str:
    text = escape(entry.text)
    text = {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(entry.rank, text)
    extra = escape(" ".join(filter(None, [entry.change, entry.interval])))
    return rf"{text} {{\scriptsize {extra}}}" if extra else text
