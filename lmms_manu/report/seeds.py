"""Sums up runs that differ in nothing but the seed: their mean and their range."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np

from lmms_manu.evidence.bootstrap import Draws
from lmms_manu.report.cells import Cell, Row, Section
from lmms_manu.report.identity import Identity

_SEED = "seed"
_OF_A_SWEEP = re.compile(r"(?P<shared>.+?)(?:-seed\d+|(?<=-control)\d+)")


def with_seed_summaries(section: Section) -> Section:
    """The section with a row for each group of runs that differ in the seed only, below the last run of the group."""
    groups: dict[Identity, list[Row]] = collections.defaultdict(list)
    for row in section.rows:
        if row.run is not None and not row.is_baseline and not row.run.identity.is_vanilla:
            groups[seedless(row.run.identity)].append(row)
    rows: list[Row] = []
    for row in section.rows:
        rows.append(row)
        group = groups.get(seedless(row.run.identity), []) if row.run else []
        if len(group) > 1 and row is group[-1]:
            rows.append(_summary(group, list(groups)))
    return dataclasses.replace(section, rows=tuple(rows))


def seedless(identity: Identity) -> Identity:
    """What a run shares with those that differ from it in the seed only."""
    kept = tuple((name, value) for name, value in identity.settings if not _is_seed(name))
    return dataclasses.replace(identity, settings=kept)


def _is_seed(name: str) -> bool:
    """Whether a setting only says which draw it was: `seed`, `train_seed` and their like."""
    return name == _SEED or name.endswith(f"_{_SEED}")


def _summary(rows: Sequence[Row], identities: Sequence[Identity]) -> Row:
    """The mean of some rows; its name tells it apart from those of the other `identities`."""
    assert rows[0].run is not None
    mine = seedless(rows[0].run.identity)
    alike = [other for other in identities if other.label == mine.label and other != mine]
    return Row(
        name=f"{_name(rows) or mine.full_label(alike)}, mean of {len(rows)} seeds",
        cells={key: _mean([row.cells[key] for row in rows]) for key in rows[0].cells},
        derived={name: _mean([row.derived[name] for row in rows]) for name in rows[0].derived},
        is_control=rows[0].is_control,
        controls=rows[0].controls,
        members=tuple(row.name for row in rows),
    )


def _name(rows: Sequence[Row]) -> str:
    """What a sweep called all of them, but for the seed; empty where they have other names."""
    named = {match.group("shared") for row in rows if (match := _OF_A_SWEEP.fullmatch(row.name))}
    return named.pop() if len(named) == 1 and all(_OF_A_SWEEP.fullmatch(row.name) for row in rows) else ""


def _mean(cells: Sequence[Cell]) -> Cell:
    values = _all(cells, lambda cell: cell.value)
    if values is None:
        return Cell(note="not measured for every seed")
    changes = _all(cells, lambda cell: cell.change)
    return Cell(
        value=sum(values) / len(values),
        spread=(min(values), max(values)),
        change=None if changes is None else sum(changes) / len(changes),
        questions=cells[0].questions,
        people=cells[0].people,
        draws=_mean_draws(cells),
    )


def _mean_draws(cells: Sequence[Cell]) -> Draws | None:
    drawn = [cell.draws for cell in cells if cell.draws is not None]
    return np.mean(drawn, axis=0) if len(drawn) == len(cells) else None


def _all(cells: Sequence[Cell], read: Callable[[Cell], float | None]) -> list[float] | None:
    found = [value for cell in cells if (value := read(cell)) is not None]
    return found if len(found) == len(cells) else None
