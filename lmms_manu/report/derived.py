"""Numbers that sum up a run against its baseline: rates of forgetting and retention, modality gap, trade-off."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from lmms_manu.mllmu.names import MODALITIES
from lmms_manu.report.bootstrap import Draws, interval
from lmms_manu.report.cells import NOT_MEASURED, Cell, CellKey
from lmms_manu.report.metrics import COLUMNS, MEAN, UTILITY, Metric


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

Shares = dict[Metric, Cell]
"""Percent of the baseline's score that is left, by metric."""


def derive(row: Mapping[CellKey, Cell], baseline: Mapping[CellKey, Cell]) -> dict[str, Cell]:
    """The derived numbers of a row.

    A metric that either side has not measured, or of which the baseline has nothing, is left out of a rate; the
    rate's note names the metrics that it is made of. The modality gap and the trade-off set two rates against each
    other, so both of these are made of the metrics that both have.

    Args:
        row: the row's cells.
        baseline: the baseline's cells.

    Returns:
        A cell for every name of `DERIVED`.
    """
    forget, retain = _shares(row, baseline, "forget", MEAN), _shares(row, baseline, "retain", MEAN)
    with_picture, as_text = _alike(*(_shares(row, baseline, "forget", modality) for modality in MODALITIES))
    forgotten, retained = _alike(forget, retain)
    return {
        "forgetting_rate": _lost(_mean(forget)),
        "forgetting_rate_test": _lost(_mean(_shares(row, baseline, "test", MEAN))),
        "retention_rate": _mean(retain),
        "retention_rate_celebrity": _mean(_shares(row, baseline, "celebrity", MEAN)),
        "retention_rate_utility": _mean(_shares(row, baseline, UTILITY, MEAN)),
        "modality_gap": _combined(_lost(_mean(with_picture)), 1.0, _lost(_mean(as_text)), -1.0, 0.0),
        "trade_off": _combined(_lost(_mean(forgotten)), 1.0, _mean(retained), 1.0, -100.0),
    }


def _shares(row: Mapping[CellKey, Cell], baseline: Mapping[CellKey, Cell], split: str, view: str) -> Shares:
    shares: Shares = {}
    for column in COLUMNS:
        if column.split != split:
            continue
        mine = row.get((column.name, view), NOT_MEASURED)
        theirs = baseline.get((column.name, view), NOT_MEASURED)
        if mine.value is None or not theirs.value:
            continue
        draws = _quotient(mine.draws, theirs.draws)
        shares[column.metric] = Cell(value=100 * mine.value / theirs.value, draws=draws)
    return shares


def _alike(one: Shares, other: Shares) -> tuple[Shares, Shares]:
    """Both, with only the metrics that both have."""
    return (
        {metric: share for metric, share in one.items() if metric in other},
        {metric: share for metric, share in other.items() if metric in one},
    )


def _mean(shares: Shares) -> Cell:
    if not shares:
        return NOT_MEASURED
    values = [share.value for share in shares.values() if share.value is not None]
    present = [share.draws for share in shares.values() if share.draws is not None]
    draws = np.mean(present, axis=0) if len(present) == len(shares) else None
    note = "from " + ", ".join(metric.label for metric in shares)
    return Cell(value=float(np.mean(values)), interval=interval(draws), note=note, draws=draws)


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
