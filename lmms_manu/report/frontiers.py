"""Methods at the same cost: of each that ran at several strengths, the share forgotten at any retain cost."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from lmms_manu.evidence.bootstrap import Draws, interval
from lmms_manu.evidence.frontier import share_at
from lmms_manu.methods.record import EditRecord
from lmms_manu.report.cells import NOT_MEASURED, Cell, Frontier, Row, Section
from lmms_manu.report.identity import Identity
from lmms_manu.report.metrics import Derived
from lmms_manu.report.seeds import seedless
from lmms_manu.report.short_names import short_label
from lmms_manu.report.verdict import COST, SHARE

COSTS = (2.0, 5.0)
"""Points lost on the retain set at which frontiers are read off."""

NOT_REACHED = "not reached"
"""How the note of a cell begins whose cost no strength has."""

_STEPS = 40
"""Costs at which the whole frontier is told, beside 0."""

_UNREACHED = 0.05
"""Of the draws that may leave a cost unreached before its interval is not told."""


def numbers_at_costs() -> tuple[Derived, ...]:
    """The share forgotten at each of `COSTS`, as derived numbers of every strength of a method."""
    return tuple(
        Derived(
            name_at(cost),
            f"Share at a cost of {cost:g}",
            f"share forgotten at a retain cost of {cost:g} points, on the frontier of all strengths of the method",
            True,
        )
        for cost in COSTS
    )


def name_at(cost: float) -> str:
    """The name of the derived number at a cost, such as `share_at_cost_2`."""
    return f"share_at_cost_{cost:g}"


def not_reached(row: Row) -> dict[str, str]:
    """The derived numbers at costs that no strength of the row's method has, each with what was reached."""
    cells = {number.name: row.derived.get(number.name, NOT_MEASURED) for number in numbers_at_costs()}
    return {name: cell.note for name, cell in cells.items() if cell.value is None and cell.note.startswith(NOT_REACHED)}


def with_frontiers(section: Section) -> Section:
    """The section with the frontier of each method that ran at several strengths, and its numbers in their rows."""
    found: list[Frontier] = []
    numbers: dict[str, Mapping[str, Cell]] = {}
    for label, swept in _swept(section):
        frontier = frontier_of(label, swept)
        found += [frontier] if frontier.members else []
        own = {name_at(cost): cell for cost, cell in frontier.at.items()}
        numbers |= dict.fromkeys((name for row in swept for name in (row.name, *row.members)), own)
    rows = tuple(dataclasses.replace(row, derived={**row.derived, **numbers.get(row.name, {})}) for row in section.rows)
    return dataclasses.replace(section, rows=rows, frontiers=tuple(found))


def frontier_of(name: str, rows: Iterable[Row]) -> Frontier:
    """The frontier of a method's strengths.

    Args:
        name: of the method.
        rows: of its strengths; those without cost or share are left out.
    """
    known = ((row.derived.get(COST, NOT_MEASURED), row.derived.get(SHARE, NOT_MEASURED), row.name) for row in rows)
    measured = [one for one in known if one[0].value is not None and one[1].value is not None]
    measured.sort(key=lambda one: one[0].value or 0.0)
    if not measured:
        return Frontier(name, (), dict.fromkeys(COSTS, NOT_MEASURED), ())
    costs = np.asarray([cost.value for cost, *_ in measured])
    shares = np.asarray([share.value for _, share, _ in measured])
    even = np.linspace(0.0, max(costs.max(), 0.0), _STEPS + 1)
    asked = np.concatenate([COSTS, even])
    values = share_at(costs, shares, asked)
    drawn = _draws(measured)
    draws = [None] * len(asked) if drawn is None else list(share_at(*drawn, asked))
    most, of = max(zip(shares, costs, strict=True))
    cells = [
        Cell(note=f"{NOT_REACHED}: {most:.0f} % at {of:.1f}") if np.isnan(value) else _cell(float(value), own)
        for value, own in zip(values, draws, strict=True)
    ]
    at, curve = cells[: len(COSTS)], cells[len(COSTS) :]
    return Frontier(
        name,
        tuple(row for *_, row in measured),
        dict(zip(COSTS, at, strict=True)),
        tuple((float(cost), dataclasses.replace(cell, draws=None)) for cost, cell in zip(even, curve, strict=True)),
    )


def _draws(measured: Sequence[tuple[Cell, Cell, str]]) -> tuple[list[Draws], list[Draws]] | None:
    """Costs and shares in every draw of people; None where a strength has none."""
    costs = [cost.draws for cost, *_ in measured if cost.draws is not None]
    shares = [share.draws for _, share, _ in measured if share.draws is not None]
    return (costs, shares) if len(costs) == len(shares) == len(measured) else None


def _cell(value: float, draws: Draws | None) -> Cell:
    if draws is None:
        return Cell(value=value)
    bounds = interval(draws, undefined=_UNREACHED)
    reached = float(np.isfinite(draws).mean())
    note = "" if bounds is not None else f"reached in {reached:.0%} of the draws of people"
    return Cell(value=value, interval=bounds, note=note, draws=draws)


def _swept(section: Section) -> Iterator[tuple[str, list[Row]]]:
    """Each method that ran at several strengths: its label without the strength, and its rows, seeds summed up."""
    named = {row.name: row for row in section.rows}
    summed = {member for row in section.rows for member in row.members}
    groups: dict[Identity, list[tuple[object, Row]]] = collections.defaultdict(list)
    edits: dict[Identity, EditRecord] = {}
    for row in section.rows:
        run = named[row.members[0]].run if row.members else row.run
        edit = run.edit if run else None
        if row.name in summed or not row.derived or run is None or edit is None or edit.strength not in edit.variant:
            continue
        others = {name: value for name, value in edit.variant.items() if name != edit.strength}
        rest = dataclasses.replace(edit, variant=others)
        own = dataclasses.replace(seedless(run.identity), variant=tuple(others.items()), label=rest.label)
        groups[own].append((edit.variant[str(edit.strength)], row))
        edits[own] = rest
    found = {own: rows for own, rows in groups.items() if len({strength for strength, _ in rows}) > 1}
    for own, rows in found.items():
        others_found = [other for other in found if other != own]
        alike = [other for other in others_found if other.label == own.label]
        label = short_label(edits[own], own.label, [other.label for other in others_found])
        yield own.full_label(alike) if alike else label, [row for _, row in rows]
