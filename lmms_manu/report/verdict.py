"""The verdict of a section in words: which run forgot how much, at what cost, and whether beyond its control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lmms_manu.evidence.bootstrap import Draws, interval
from lmms_manu.evidence.frontier import beyond
from lmms_manu.report.cells import NOT_MEASURED, Cell, Row, Section
from lmms_manu.report.formats.numbers import interval_text, plain, spread_text
from lmms_manu.report.short_names import shortened

BUDGET = 5.0
"""Points of 100 that may be lost on what is to be kept before a run is called too dear."""

SHARE, COST = "share_forgotten", "retain_cost"
_SHOWN = 4


def shown_rows(section: Section) -> list[Row]:
    """The rows with main numbers, seeds summed up: candidates, then gold and controls."""
    hidden = {member for row in section.rows for member in row.members}
    measured = [row for row in section.rows if row.derived and row.name not in hidden and not row.is_published]
    return sorted(measured, key=lambda row: (not row.is_candidate, row.is_control))


def costs(row: Row) -> dict[str, Cell]:
    """What a row lost on each split that is to be kept, where it was measured."""
    return {name: cell for name, cell in row.derived.items() if name.endswith("_cost") and cell.value is not None}


def dearest(row: Row) -> float | None:
    """The most that a row lost on a split that is to be kept."""
    return largest_cost(row).value


def largest_cost(row: Row) -> Cell:
    """The cost on the split that is to be kept and lost the most; not measured where none was."""
    return max(costs(row).values(), key=lambda cell: cell.value or 0.0, default=NOT_MEASURED)


def beyond_control(row: Row, rows: Sequence[Row]) -> str:
    """Whether a row forgot more than its controls do at its own cost.

    Two draws of a control may cost several times as much as each other, and then forget as much more; so a row is held
    against the line from vanilla through its controls, and not against their mean.

    Returns:
        `yes` or `no`; empty without controls or an interval.
    """
    places = [_drawn_place(other) for other in rows if other.name in row.controls]
    mine, known = _drawn_place(row), [place for place in places if place is not None]
    if mine is None or not known:
        return ""
    bounds = interval(beyond([cost for cost, _ in known], [share for _, share in known], *mine), undefined=0.05)
    return "" if bounds is None else "yes" if bounds[0] > 0 else "no"


def _drawn_place(row: Row) -> tuple[Draws, Draws] | None:
    """Cost and share of a row in every draw of people."""
    cost, share = (row.derived.get(name, NOT_MEASURED).draws for name in (COST, SHARE))
    return None if cost is None or share is None else (cost, share)


def verdict(section: Section) -> list[str]:
    """The sentences, the one that matters first; one that says why where there is nothing to judge."""
    section = shortened(section)
    rows = [row for row in shown_rows(section) if row.is_candidate]
    if not rows:
        return [f"No verdict: {_why_none(section)}."]
    if section.evidence is None:
        return ["No verdict: there is no vanilla model to start from, or no gold that fits it; see the notes below."]
    measured = [row for row in rows if row.derived[SHARE].value is not None]
    if not measured:
        return ["No verdict: no number shows that the model knew the people to forget before, so none can show less."]
    ranked = sorted(measured, key=lambda row: -(row.derived[SHARE].value or 0.0))
    lost = {row.name: dearest(row) for row in ranked}
    within = [row for row in ranked if (cost := lost[row.name]) is not None and cost <= BUDGET]
    lines = [
        f"Within {BUDGET:g} points on what is to be kept, {_sentence(within[0], section)}" if within else _no_rank(lost)
    ]
    others = [row for row in ranked if not within or row is not within[0]]
    lines += [_sentence(row, section) for row in others[: _SHOWN - 1]]
    if len(others) >= _SHOWN:
        lines.append(f"{len(others) - _SHOWN + 1} more in the table.")
    return lines


def _why_none(section: Section) -> str:
    if not any(row.is_candidate for row in section.rows):
        return "no run here is to be judged, they are what others are held against"
    return "there is no vanilla model to compare with: name it with --baseline"


def _no_rank(lost: Mapping[str, float | None]) -> str:
    if None in lost.values():
        unknown = ", ".join(name for name, cost in lost.items() if cost is None)
        return f"None has a rank: what is to be kept was not asked about with numbers that tell ({unknown})."
    return f"Every run loses more than {BUDGET:g} points on what is to be kept: none has a rank."


def _sentence(row: Row, section: Section) -> str:
    assert section.evidence is not None
    goal = section.evidence.reference
    share, cost = row.derived[SHARE], row.derived.get(COST, NOT_MEASURED)
    said = f"{row.name} went {_with_interval(share, ' %')} of the way to {goal}"
    said += f" for {_with_interval(cost, ' points')} on the retain set" if cost.value is not None else ""
    harm = row.derived["damage"].value
    if harm is not None and harm >= 1:
        said += f", with {plain(harm, 0)} % of damage beyond it"
    if row.controls:
        beyond = beyond_control(row, section.rows)
        said += {"yes": ": beyond its control", "no": ": not beyond its control", "": ""}[beyond]
    else:
        said += "; it has no control here"
    return f"{said}."


def _with_interval(cell: Cell, unit: str) -> str:
    assert cell.value is not None
    bounds = interval_text(cell.interval, 0 if unit == " %" else 1) or spread_text(cell, 0)
    return f"{plain(cell.value, 0 if unit == ' %' else 1)}{unit}{f' {bounds}' if bounds else ''}"
