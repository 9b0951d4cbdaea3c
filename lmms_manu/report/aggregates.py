"""Numbers over several splits that a benchmark's paper reports, from the cells of a row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lmms_manu.benchmarks.base import Aggregate
from lmms_manu.benchmarks.registry import get_benchmark, names
from lmms_manu.evidence.bootstrap import interval
from lmms_manu.report.cells import NOT_MEASURED, Cell, CellKey
from lmms_manu.report.metrics import MEAN, Derived, columns


def aggregates_of(benchmark: str) -> tuple[Derived, ...]:
    """The aggregates of a benchmark, higher being better as on what is to be kept."""
    known = get_benchmark(benchmark).aggregates if benchmark in names() else ()
    return tuple(Derived(one.name, one.label, one.meaning, True) for one in known)


def aggregated(row: Mapping[CellKey, Cell], benchmark: str) -> dict[str, Cell]:
    """The aggregates of a row, on a scale from 0 to 100; not measured where one of the splits is not."""
    return {one.name: _harmonic_mean(row, one, benchmark) for one in get_benchmark(benchmark).aggregates}


def _harmonic_mean(row: Mapping[CellKey, Cell], aggregate: Aggregate, benchmark: str) -> Cell:
    own = [
        column
        for column in columns()
        if (column.benchmark, column.metric.name) == (benchmark, aggregate.metric) and column.split in aggregate.splits
    ]
    cells = [row.get((column.name, MEAN), NOT_MEASURED) for column in own]
    values = [cell.value for cell in cells if cell.value is not None]
    if len(values) < len(aggregate.splits):
        return NOT_MEASURED
    scale = 100 / own[0].metric.maximum
    with np.errstate(divide="ignore"):
        value = float(len(values) / np.sum(1 / np.asarray(values)))
        drawn = [cell.draws for cell in cells if cell.draws is not None]
        draws = scale * len(drawn) / np.sum(1 / np.stack(drawn), axis=0) if len(drawn) == len(cells) else None
    return Cell(value=scale * value, interval=interval(draws), draws=draws)
