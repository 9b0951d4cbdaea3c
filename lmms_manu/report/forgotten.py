"""The main numbers of a row: what share was forgotten, what damage was done, what it cost, how far gold is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lmms_manu.benchmarks.base import MODALITIES, Split
from lmms_manu.evidence.bootstrap import Draws, interval
from lmms_manu.evidence.shares import damage, distance, share_forgotten
from lmms_manu.report.cells import NOT_MEASURED, Cell, CellKey, Evidence
from lmms_manu.report.metrics import MEAN, Column, Derived, columns
from lmms_manu.report.splits import first, further

_SHARE = Derived(
    "share_forgotten",
    "Share forgotten",
    "share of the way from vanilla (0) to a model that never met the people (100) on the forget set, mean over the "
    "metrics and modalities that can tell; what lies beyond is damage",
    True,
)
_DAMAGE = Derived("damage", "Damage", "how far beyond that model the forget set fell, in percent of that way", False)
_COST = Derived(
    "retain_cost", "Retain cost", "points of 100 lost on the retain set, mean over metrics and modalities", False
)
_DISTANCE = Derived(
    "distance_to_gold",
    "Distance to gold",
    "mean difference to gold on what was to be forgotten, up or down, in points of 100",
    False,
)
_UNDEFINED = 0.05
"""A metric that tells knows more than its reference in all but 2.5 % of the draws; a mean has several of them."""

Cells = Mapping[CellKey, Cell]


def forgotten_numbers(splits: Sequence[Split]) -> tuple[Derived, ...]:
    """The main numbers of a benchmark with these splits."""
    forgotten_too, kept_too = further(splits)
    return (
        _SHARE,
        *(_share_of(modality) for modality in MODALITIES),
        *(_like(_SHARE, split) for split in forgotten_too),
        _DAMAGE,
        _COST,
        *(_cost_of(split) for split in kept_too),
        _DISTANCE,
    )


def forgotten(
    row: Cells, vanilla: Cells, splits: Sequence[Split], benchmark: str, evidence: Evidence | None
) -> dict[str, Cell]:
    """The main numbers of a row; not measured where nothing can tell.

    Args:
        row: the row's cells, with their changes against vanilla.
        vanilla: those of the model before unlearning.
        splits: the benchmark's.
        benchmark: its name.
        evidence: what the numbers stand on; costs need none.
    """
    forget, retain = first(splits, "forget"), first(splits, "retain")
    forgotten_too, kept_too = further(splits)

    def share(split: Split | None, views: Sequence[str] = MODALITIES, of: Any = share_forgotten) -> Cell:
        return _mean(_against_reference(row, vanilla, _of(split, benchmark), views, evidence, of))

    def cost(split: Split | None) -> Cell:
        return _mean(_lost(row, vanilla, _of(split, benchmark), evidence))

    everywhere = [column for split in (forget, *forgotten_too) for column in _of(split, benchmark)]
    return {
        _SHARE.name: share(forget),
        **{_share_of(modality).name: share(forget, (modality,)) for modality in MODALITIES},
        **{_like(_SHARE, split).name: share(split) for split in forgotten_too},
        _DAMAGE.name: share(forget, of=damage),
        _COST.name: cost(retain),
        **{_cost_of(split).name: cost(split) for split in kept_too},
        _DISTANCE.name: _mean(_to_gold(row, everywhere, evidence)),
    }


def _share_of(modality: str) -> Derived:
    word = "with the picture" if modality == "multimodal" else "as text"
    return Derived(f"{_SHARE.name}_{modality}", f"{_SHARE.label} {word}", f"the same {word} alone", True)


def _like(derived: Derived, split: Split) -> Derived:
    title = split.title.lower()
    label = f"{derived.label}, {title.removesuffix(' set')}"
    return Derived(f"{derived.name}_{split.name}", label, f"the same on the {title}", derived.higher_is_better)


def _cost_of(split: Split) -> Derived:
    title = split.title.removesuffix(" set")
    return Derived(f"{split.name}_cost", f"{title} cost", f"the same on the {split.title.lower()}", False)


def _of(split: Split | None, benchmark: str) -> list[Column]:
    """The columns of a split, but for those that say again what another one says."""
    if split is None:
        return []
    own = [column for column in columns() if (column.benchmark, column.split) == (benchmark, split.name)]
    return [column for column in own if column.metric.in_rates]


def _against_reference(
    row: Cells,
    vanilla: Cells,
    wanted: Sequence[Column],
    views: Sequence[str],
    evidence: Evidence | None,
    of: Callable[..., Any],
) -> Iterator[Cell]:
    """`of` the score, vanilla's and the reference's, for each column and modality that can tell."""
    if evidence is None:
        return
    for column, view in ((column, view) for column in wanted for view in views):
        key = column.name, view
        sides = [cells.get(key, NOT_MEASURED) for cells in (row, vanilla, evidence.cells)]
        values = [side.value for side in sides]
        if key not in evidence.verdicts or not evidence.tells(*key) or None in values:
            continue
        drawn = [column.sign * side.draws for side in sides if side.draws is not None]
        draws = of(*drawn) if _is_paired(sides[0]) and len(drawn) == len(sides) else None
        yield Cell(value=float(of(*(column.sign * value for value in values if value is not None))), draws=draws)


def _lost(row: Cells, vanilla: Cells, wanted: Sequence[Column], evidence: Evidence | None) -> Iterator[Cell]:
    """The points lost, on a scale of 100, in each modality, or in the mean of both where there is nothing else."""
    for column in wanted:
        modal = any((column.name, view) in row for view in MODALITIES)
        for view in MODALITIES if modal else (MEAN,):
            cell, before = row.get((column.name, view), NOT_MEASURED), vanilla.get((column.name, view), NOT_MEASURED)
            if cell.value is None or before.value is None or (evidence and not evidence.tells(column, view)):
                continue
            factor = (100 if column.metric.higher_is_better else -100) / column.metric.maximum
            paired = _is_paired(cell) and cell.draws is not None and before.draws is not None
            draws = factor * (before.draws - cell.draws) if paired else None  # type: ignore[operator]
            yield Cell(value=factor * (before.value - cell.value), draws=draws)


def _to_gold(row: Cells, wanted: Sequence[Column], evidence: Evidence | None) -> Iterator[Cell]:
    if evidence is None or not evidence.is_gold:
        return
    for column, view in ((column, view) for column in wanted for view in MODALITIES):
        cell = row.get((column.name, view), NOT_MEASURED)
        gold = evidence.cells.get((column.name, view), NOT_MEASURED)
        if cell.value is None or gold.value is None or not evidence.tells(column, view):
            continue
        factor = 100 / column.metric.maximum
        draws = None
        if _is_paired(cell) and cell.draws is not None and gold.draws is not None:
            draws = factor * distance(cell.draws, gold.draws)
        yield Cell(value=factor * float(distance(cell.value, gold.value)), draws=draws)


def _is_paired(cell: Cell) -> bool:
    """Whether the row was asked what vanilla was, so that draws of both are of the same questions."""
    return cell.change_interval is not None


def _mean(cells: Iterator[Cell]) -> Cell:
    found = list(cells)
    values = [cell.value for cell in found if cell.value is not None]
    if not values:
        return NOT_MEASURED
    present: list[Draws] = [cell.draws for cell in found if cell.draws is not None]
    draws = np.mean(present, axis=0) if len(present) == len(found) else None
    count = len(found)
    note = f"from {count} {'number' if count == 1 else 'numbers'} that can tell"
    return Cell(value=float(np.mean(values)), interval=interval(draws, undefined=_UNDEFINED), note=note, draws=draws)
