"""Numbers that sum up a run against its baseline: rates of forgetting and retention, modality gap, trade-off."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lmms_manu.benchmarks.base import MODALITIES, Metric, Split
from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, get_benchmark, names
from lmms_manu.evidence.bootstrap import Draws, interval
from lmms_manu.report.aggregates import aggregated, aggregates_of
from lmms_manu.report.cells import NOT_MEASURED, Cell, CellKey, Evidence
from lmms_manu.report.forgotten import forgotten, forgotten_numbers
from lmms_manu.report.frontiers import numbers_at_costs
from lmms_manu.report.metrics import MEAN, UTILITY, Derived, columns
from lmms_manu.report.splits import first, further

_ONE_STRENGTH = Cell(note="no frontier: the method ran at one strength alone, or has none")
_FORGETTING = Derived(
    "forgetting_rate",
    "Forgetting rate",
    "share of the baseline's score on the forget set that is gone, mean over the metrics",
    True,
)
_RETENTION = Derived(
    "retention_rate",
    "Retention rate",
    "share of the baseline's score on the retain set that is left, mean over the metrics",
    True,
)
_UTILITY = Derived("retention_rate_utility", "Retention rate, utility", "the same on the general benchmarks", True)
_MODALITY_GAP = Derived(
    "modality_gap",
    "Modality gap",
    "forgetting rate with the picture minus that as text: how much less was forgotten as text",
    False,
)
_TRADE_OFF = Derived(
    "trade_off", "Trade-off", "forgetting rate + retention rate - 100: what was forgotten beyond what was lost", True
)


def derived_of(benchmark: str) -> tuple[Derived, ...]:
    """The derived numbers of a benchmark: those that all have, and a rate for each of its further splits."""
    splits = get_benchmark(benchmark).splits if benchmark in names() else ()
    further_forgotten, kept = further(splits)
    return (
        *forgotten_numbers(splits),
        _FORGETTING,
        *(_like(_FORGETTING, split) for split in further_forgotten),
        _RETENTION,
        *(_like(_RETENTION, split) for split in kept),
        _UTILITY,
        _MODALITY_GAP,
        _TRADE_OFF,
        *numbers_at_costs(),
        *aggregates_of(benchmark),
    )


def derived_by_name() -> dict[str, Derived]:
    """The derived numbers of all benchmarks; one that several have means the same in each."""
    return {derived.name: derived for benchmark in names() for derived in derived_of(benchmark)}


Shares = dict[Metric, Cell]
"""Percent of the baseline's score that is left, by metric."""


def derive(
    row: Mapping[CellKey, Cell],
    baseline: Mapping[CellKey, Cell],
    benchmark: str = DEFAULT_BENCHMARK,
    evidence: Evidence | None = None,
) -> dict[str, Cell]:
    """The derived numbers of a row.

    A metric that either side has not measured, or of which the baseline has nothing, is left out of a rate; the
    rate's note names the metrics that it is made of. The modality gap and the trade-off set two rates against each
    other, so both of these are made of the metrics that both have.

    Args:
        row: the row's cells.
        baseline: the baseline's cells.
        benchmark: whose splits are meant.
        evidence: what the numbers stand on: columns that cannot tell are left out. None where that is not known.

    Returns:
        A cell for every name of `derived_of(benchmark)`.
    """

    def shares(split: Split | None, view: str = MEAN) -> Shares:
        return _shares(row, baseline, benchmark, split.name, view, evidence) if split else {}

    splits = get_benchmark(benchmark).splits
    forget_split, retain_split = first(splits, "forget"), first(splits, "retain")
    forget, retain = shares(forget_split), shares(retain_split)
    with_picture, as_text = _alike(*(shares(forget_split, modality) for modality in MODALITIES))
    forgetting, retained = _alike(forget, retain)
    further_forgotten, further_kept = further(splits)
    return {
        **aggregated(row, benchmark),
        **forgotten(row, baseline, splits, benchmark, evidence),
        **dict.fromkeys((number.name for number in numbers_at_costs()), _ONE_STRENGTH),
        _FORGETTING.name: _lost(_mean(forget)),
        **{_like(_FORGETTING, split).name: _lost(_mean(shares(split))) for split in further_forgotten},
        _RETENTION.name: _mean(retain),
        **{_like(_RETENTION, split).name: _mean(shares(split)) for split in further_kept},
        _UTILITY.name: _mean(_shares(row, baseline, "", UTILITY, MEAN, None)),
        _MODALITY_GAP.name: _combined(_lost(_mean(with_picture)), 1.0, _lost(_mean(as_text)), -1.0, 0.0),
        _TRADE_OFF.name: _combined(_lost(_mean(forgetting)), 1.0, _mean(retained), 1.0, -100.0),
    }


def _like(derived: Derived, split: Split) -> Derived:
    """The same number on another split."""
    title = split.title.lower()
    label = f"{derived.label}, {title.removesuffix(' set')}"
    return Derived(f"{derived.name}_{split.name}", label, f"the same on the {title}", derived.higher_is_better)


def _shares(
    row: Mapping[CellKey, Cell],
    baseline: Mapping[CellKey, Cell],
    benchmark: str,
    split: str,
    view: str,
    evidence: Evidence | None,
) -> Shares:
    shares: Shares = {}
    for column in columns():
        if (column.benchmark, column.split) != (benchmark, split) or not column.metric.in_rates:
            continue
        mine = row.get((column.name, view), NOT_MEASURED)
        theirs = baseline.get((column.name, view), NOT_MEASURED)
        if mine.value is None or not theirs.value or (evidence and evidence.is_mute(column, view)):
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
