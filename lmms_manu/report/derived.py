"""Numbers that sum up a run against its baseline: rates of forgetting and retention, modality gap, trade-off."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from lmms_manu.mllmu.names import MODALITIES
from lmms_manu.report.bootstrap import Draws, interval
from lmms_manu.report.cells import NOT_MEASURED, Cell, CellKey
from lmms_manu.report.metrics import COLUMNS, MEAN, UTILITY, Column


@dataclasses.dataclass(frozen=True)
class Derived:
    """A derived number; all of them are percent or percentage points of the baseline's scores."""

    name: str
    label: str
    meaning: str
    higher_is_better: bool


DERIVED = (
    Derived(
        "forgetting_rate",
        "Forgetting rate",
        "share of the baseline's score on the forget set that is gone, mean over the metrics",
        True,
    ),
    Derived("forgetting_rate_test", "Forgetting rate, test", "the same on the test set", True),
    Derived(
        "retention_rate",
        "Retention rate",
        "share of the baseline's score on the retain set that is left, mean over the metrics",
        True,
    ),
    Derived("retention_rate_celebrity", "Retention rate, celebrity", "the same on the celebrity set", True),
    Derived("retention_rate_utility", "Retention rate, utility", "the same on the general benchmarks", True),
    Derived(
        "modality_gap",
        "Modality gap",
        "forgetting rate with the picture minus that as text: how much less was forgotten as text",
        False,
    ),
    Derived(
        "trade_off",
        "Trade-off",
        "forgetting rate + retention rate - 100: what was forgotten beyond what was lost",
        True,
    ),
)
DERIVED_BY_NAME = {derived.name: derived for derived in DERIVED}


def derive(row: Mapping[CellKey, Cell], baseline: Mapping[CellKey, Cell]) -> dict[str, Cell]:
    """The derived numbers of a row.

    A metric that either side has not measured, or of which the baseline has nothing, is left out of a rate; the
    rate's note names the metrics that it is made of.

    Args:
        row: the row's cells.
        baseline: the baseline's cells.

    Returns:
        A cell for every name of `DERIVED`.
    """
    forgotten = {view: _lost(_kept(row, baseline, "forget", view)) for view in (MEAN, *MODALITIES)}
    retained = _kept(row, baseline, "retain", MEAN)
    return {
        "forgetting_rate": forgotten[MEAN],
        "forgetting_rate_test": _lost(_kept(row, baseline, "test", MEAN)),
        "retention_rate": retained,
        "retention_rate_celebrity": _kept(row, baseline, "celebrity", MEAN),
        "retention_rate_utility": _kept(row, baseline, UTILITY, MEAN),
        "modality_gap": _combined(forgotten["multimodal"], 1.0, forgotten["text"], -1.0, 0.0),
        "trade_off": _combined(forgotten[MEAN], 1.0, retained, 1.0, -100.0),
    }


def _kept(row: Mapping[CellKey, Cell], baseline: Mapping[CellKey, Cell], split: str, view: str) -> Cell:
    """Percent of the baseline's scores on a split that are left, as a mean over the metrics."""
    shares: list[float] = []
    draws: list[Draws | None] = []
    used: list[Column] = []
    for column in COLUMNS:
        if column.split != split:
            continue
        mine = row.get((column.name, view), NOT_MEASURED)
        theirs = baseline.get((column.name, view), NOT_MEASURED)
        if mine.value is None or not theirs.value:
            continue
        shares.append(100 * mine.value / theirs.value)
        used.append(column)
        draws.append(_quotient(mine.draws, theirs.draws))
    if not shares:
        return NOT_MEASURED
    present = [entry for entry in draws if entry is not None]
    mean = np.mean(present, axis=0) if len(present) == len(draws) else None
    note = "from " + ", ".join(column.metric.label for column in used)
    return Cell(value=float(np.mean(shares)), interval=interval(mean), note=note, draws=mean)


def _quotient(mine: Draws | None, theirs: Draws | None) -> Draws | None:
    if mine is None or theirs is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Draws = 100 * mine / theirs
    shares[~np.isfinite(shares)] = np.nan
    return shares


def _lost(kept: Cell) -> Cell:
    if kept.value is None:
        return kept
    draws = None if kept.draws is None else 100 - kept.draws
    return Cell(value=100 - kept.value, interval=interval(draws), note=kept.note, draws=draws)


def _combined(first: Cell, weight: float, second: Cell, other_weight: float, constant: float) -> Cell:
    if first.value is None or second.value is None:
        return NOT_MEASURED
    draws = None
    if first.draws is not None and second.draws is not None:
        draws = weight * first.draws + other_weight * second.draws + constant
    value = weight * first.value + other_weight * second.value + constant
    return Cell(value=value, interval=interval(draws), note=first.note, draws=draws)
