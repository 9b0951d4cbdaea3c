"""Published rows in a leaderboard: below its rankings, by themselves, and without a rank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lmms_manu.report.cells import Cell, Report
from lmms_manu.report.derived import derived_of
from lmms_manu.report.formats.markdown import escape
from lmms_manu.report.formats.numbers import value_text

Published = dict[str, Any]

_PLACE = ("source", "model", "benchmark", "forget_ratio", "name")
PARTS = {*_PLACE, "derived"}
"""What a row is made of."""

NOTE = (
    "As their sources print them: measured by others, with other exemplars, pictures and scripts. They have no rank, "
    "and say nothing beside the ranking of another model."
)


def published_entries(report: Report) -> list[Published]:
    """The published rows of a report that say what was forgotten or lost, as JSON can hold them."""
    return [
        {
            "source": row.published.source,
            "model": row.published.model,
            "benchmark": section.benchmark,
            "forget_ratio": section.forget_ratio,
            "name": row.name,
            "derived": derived,
        }
        for section in report.sections
        for row in section.rows
        if row.published is not None
        and (derived := {name: cell.value for name, cell in row.derived.items() if cell.value is not None})
    ]


def together(*lists: Iterable[Published]) -> list[Published]:
    """The rows of several lists, in order; of a source's same row the one that was read last."""
    found = {tuple(entry[part] for part in _PLACE): entry for entries in lists for entry in entries}
    return list(found.values())


def render(entries: Sequence[Published], heading: Callable[[str, int, str], str]) -> list[str]:
    """The parts of a leaderboard with its published rows: a table for each model and people.

    Args:
        entries: the rows.
        heading: makes the title of a table of a benchmark, a forget ratio and a model.
    """
    if not entries:
        return []
    groups: dict[tuple[str, int | None, str], list[Published]] = {}
    for entry in entries:
        groups.setdefault((entry["benchmark"], entry["forget_ratio"], entry["model"]), []).append(entry)
    parts = ["# Published", NOTE]
    for (benchmark, ratio, model), own in groups.items():
        parts += [f"## Published: {heading(benchmark, ratio or 0, model)}", _table(own, benchmark)]
    return parts


def _table(entries: Sequence[Published], benchmark: str) -> str:
    shown = [one for one in derived_of(benchmark) if any(one.name in entry["derived"] for entry in entries)]
    heads = ["row", *(one.label for one in shown), "source"]
    lines = ["| " + " | ".join(map(escape, heads)) + " |", "|---|" + "---:|" * len(shown) + "---|"]
    for entry in entries:
        numbers = (value_text(Cell(entry["derived"].get(one.name)), 1) for one in shown)
        texts = [entry["name"], *numbers, entry["source"]]
        lines.append("| " + " | ".join(map(escape, texts)) + " |")
    return "\n".join(lines)
