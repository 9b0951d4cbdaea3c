"""The plots of a report as Vega-Lite charts with the numbers that they show."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import altair

from lmms_manu.mllmu.names import MODALITIES
from lmms_manu.report.cells import Cell, Row, Section
from lmms_manu.report.formats.tables import SPLIT_TITLES, VIEW_TITLES
from lmms_manu.report.metrics import FORGOTTEN_SPLITS, KEPT_SPLITS, MEAN, Column

# Okabe and Ito's colours, which people with any colour vision can tell apart, without black and yellow.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_HEIGHT = 240

Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Plot:
    """One chart.

    Args:
        id: of its place on the page.
        title: what it shows, for headings and screen readers.
        specification: of Vega-Lite.
        records: its numbers, for the table below it.
    """

    id: str
    title: str
    specification: dict[str, Any]
    records: tuple[Record, ...]


def plots_of(section: Section) -> list[Plot]:
    """The plots that a section has numbers for."""
    prefix = f"plot-{section.forget_ratio or 'all'}"
    candidates = [
        *(_changes(section, split, modality) for split in FORGOTTEN_SPLITS for modality in MODALITIES),
        *(_levels(section, split, modality) for split in KEPT_SPLITS for modality in MODALITIES),
        *_trade_offs(section),
        _prune_rates(section),
        _rates(section),
        *_layers(section),
    ]
    found = [entry for entry in candidates if entry is not None]
    return [dataclasses.replace(plot, id=f"{prefix}-{number}") for number, plot in enumerate(found, 1)]


def _changes(section: Section, split: str, modality: str) -> Plot | None:
    """Change of each metric against the baseline (the paper's figure 4, left half)."""
    records = [
        {
            **_metric_record(row, column),
            "change": _points(column, cell.change),
            "low": _points(column, cell.change_interval[0]) if cell.change_interval else None,
            "high": _points(column, cell.change_interval[1]) if cell.change_interval else None,
        }
        for row, column, cell in _cells(section, split, modality)
        if cell.change is not None
    ]
    title = f"{SPLIT_TITLES[split]}, {VIEW_TITLES[modality]}: change against the baseline"
    return _bars(section, records, "change", "change in points", title)


def _levels(section: Section, split: str, modality: str) -> Plot | None:
    """Level of each metric (the paper's figure 4, right half)."""
    records = [
        {
            **_metric_record(row, column),
            "value": _points(column, cell.value),
            "low": _points(column, cell.interval[0]) if cell.interval else None,
            "high": _points(column, cell.interval[1]) if cell.interval else None,
        }
        for row, column, cell in _cells(section, split, modality)
        if cell.value is not None
    ]
    return _bars(section, records, "value", "points", f"{SPLIT_TITLES[split]}, {VIEW_TITLES[modality]}")


def _bars(section: Section, records: Sequence[Record], value: str, axis: str, title: str) -> Plot | None:
    if not records:
        return None
    x = altair.X("metric:N", title=None, sort=None, axis=altair.Axis(labelAngle=0))
    offset = altair.XOffset("run:N", sort=None)
    base = altair.Chart(_data(records)).encode(x=x, xOffset=offset)
    bars = base.mark_bar().encode(
        y=altair.Y(f"{value}:Q", title=axis), color=_run_colour(section), tooltip=_tooltips(["run", "metric"], records)
    )
    rules = base.mark_rule(strokeWidth=1.5).encode(y=altair.Y("low:Q"), y2=altair.Y2("high:Q"))
    return _plot(title, altair.layer(bars, rules), records)


def _trade_offs(section: Section) -> Iterator[Plot | None]:
    """What was forgotten against what was kept (the paper's figures 5 and 12)."""
    for name, what in (
        ("retention_rate", "retain set"),
        ("retention_rate_celebrity", "celebrity set"),
        ("retention_rate_utility", "general benchmarks"),
    ):
        records = []
        for row in section.rows:
            forgotten = row.derived.get("forgetting_rate", Cell()).value
            kept = row.derived.get(name, Cell()).value
            if forgotten is not None and kept is not None:
                source = "published" if row.is_published else "measured"
                records.append({"run": row.name, "forgotten": forgotten, "kept": kept, "source": source})
        if not records:
            continue
        points = (
            altair.Chart(_data(records))
            .mark_point(size=120, filled=True, opacity=0.9)
            .encode(
                x=altair.X("forgotten:Q", title="forgetting rate, %", scale=altair.Scale(zero=False, padding=12)),
                y=altair.Y("kept:Q", title="retention rate, %", scale=altair.Scale(zero=False, padding=12)),
                color=_run_colour(section),
                shape=altair.Shape("source:N", title=None),
                tooltip=_tooltips(["run", "source"], records),
            )
        )
        yield _plot(f"Trade-off: forgetting against the {what}", points, records)


def _prune_rates(section: Section) -> Plot | None:
    """Rates by prune rate (the paper's table 2 as lines)."""
    records: list[Record] = []
    for row in section.rows:
        identity = row.run.identity if row.run else None
        if identity is None or identity.prune_rate is None or not row.derived:
            continue
        for name, label in (("forgetting_rate", "forgotten"), ("retention_rate", "retained")):
            value = row.derived[name].value
            if value is not None:
                recipe = " ".join(filter(None, (identity.method, identity.recipe)))
                line = {"recipe": recipe, "prune rate": identity.prune_rate, "share": label, "percent": value}
                records.append({**line, "run": row.name})
    rates: dict[str, set[float]] = {}
    for record in records:
        rates.setdefault(record["recipe"], set()).add(record["prune rate"])
    records = [record for record in records if len(rates[record["recipe"]]) > 1]
    if not records:
        return None
    lines = (
        altair.Chart(_data(records))
        .mark_line(point=True)
        .encode(
            x=altair.X("prune rate:Q", title="prune rate, %"),
            y=altair.Y("percent:Q", title="% of the baseline"),
            color=_colour("recipe:N", list(dict.fromkeys(record["recipe"] for record in records))),
            strokeDash=altair.StrokeDash("share:N", title=None),
            tooltip=_tooltips(["run", "share"], records),
        )
    )
    return _plot("By prune rate: forgotten and retained", lines, records)


def _rates(section: Section) -> Plot | None:
    """Forgetting and retention of each run side by side: recipes and ablations (the paper's table 7)."""
    records = [
        {"run": row.name, "metric": label, "percent": cell.value, **_bounds(cell)}
        for row in section.rows
        for name, label in (("forgetting_rate", "forgotten"), ("retention_rate", "retained"))
        if (cell := row.derived.get(name, Cell())).value is not None
    ]
    return _bars(section, records, "percent", "% of the baseline", "Forgotten and retained, by run")


def _layers(section: Section) -> Iterator[Plot | None]:
    """Share of neurons pruned in each layer, where the edit's record tells."""
    towers: dict[str, list[Record]] = {}
    for row in section.rows:
        layers = (row.run.edit.get("details") or {}).get("layers") if row.run else None
        for tower, counts in (layers or {}).items():
            for layer, (pruned, total) in enumerate(counts):
                share = 100 * pruned / total if total else 0.0
                towers.setdefault(tower, []).append({"run": row.name, "layer": layer, "pruned %": share})
    for tower, records in towers.items():
        lines = (
            altair.Chart(_data(records))
            .mark_line(point=True)
            .encode(
                x=altair.X("layer:O", axis=altair.Axis(labelAngle=0)),
                y=altair.Y("pruned %:Q"),
                color=_run_colour(section),
                tooltip=_tooltips(["run", "layer"], records),
            )
        )
        yield _plot(f"Neurons pruned in each layer, {tower} tower", lines, records)


def _cells(section: Section, split: str, modality: str) -> Iterator[tuple[Row, Column, Cell]]:
    view = modality if split in section.splits else MEAN
    for column in section.columns_of(split):
        for row in section.rows:
            if not row.is_published:
                yield row, column, row.cell(column, view)


def _metric_record(row: Row, column: Column) -> Record:
    return {"run": row.name, "metric": column.metric.label}


def _points(column: Column, value: float | None) -> float | None:
    """A value on a common scale from 0 to 100: ROUGE-L times 100, factuality times 10."""
    factor = {"rouge_l": 100, "factuality": 10}.get(column.metric.name, 1)
    return None if value is None else factor * value


def _bounds(cell: Cell) -> Record:
    low, high = cell.interval or (None, None)
    return {"low": low, "high": high}


def _data(records: Sequence[Record]) -> altair.Data:
    return altair.Data(values=list(records))


def _run_colour(section: Section) -> altair.Color:
    """A colour for each run, the same in every plot of the section."""
    return _colour("run:N", [row.name for row in section.rows])


def _colour(field: str, names: Sequence[str]) -> altair.Color:
    legend = altair.Legend(orient="bottom", title=None, columns=2, labelLimit=260)
    colours = list(itertools.islice(itertools.cycle(_COLOURS), len(names)))
    scale = altair.Scale(domain=list(names), range=colours)
    return altair.Color(field, sort=None, legend=legend, scale=scale)


def _tooltips(names: Sequence[str], records: Sequence[Record]) -> list[altair.Tooltip]:
    numbers = [name for name in records[0] if name not in names and not isinstance(records[0][name], str)]
    texts = [altair.Tooltip(f"{name}:N", title=name) for name in names]
    return texts + [altair.Tooltip(f"{name}:Q", title=name, format=".2f") for name in numbers]


def _plot(title: str, chart: Any, records: Sequence[Record]) -> Plot:
    shown = chart.properties(width="container", height=_HEIGHT, description=title)
    return Plot("", title, shown.to_dict(validate=False), tuple(records))
