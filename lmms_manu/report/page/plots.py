"""The plots of a report: which numbers each of them shows."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmms_manu.benchmarks.base import MODALITIES, Split
from lmms_manu.benchmarks.registry import get_benchmark
from lmms_manu.report.cells import Cell, Row, Section
from lmms_manu.report.formats.tables import VIEW_TITLES
from lmms_manu.report.metrics import Column
from lmms_manu.report.page.charts import Charts, Plot, Record
from lmms_manu.report.residuals import residual_of
from lmms_manu.report.short_names import shortened

_RATES = (("forgetting_rate", "forgotten"), ("retention_rate", "retained"))


def plots_of(section: Section) -> list[Plot]:
    """The plots that a section has numbers for, in which runs have short names."""
    charts, section = charts_of(section), shortened(section)
    candidates = [
        *(_levels(section, charts, split) for split in get_benchmark(section.benchmark).splits),
        _trade_off(section, charts),
        *_by_strength(section, charts),
        *_layers(section, charts),
        *_activations(section, charts),
        *_residuals(section, charts),
    ]
    found = [entry for entry in candidates if entry is not None]
    prefix = f"plot-{section.key}"
    return [dataclasses.replace(plot, id=f"{prefix}-{number}") for number, plot in enumerate(found, 1)]


def charts_of(section: Section) -> Charts:
    """The charts of a section, in which a run has one colour, and what runs are held against is grey."""
    section = shortened(section)
    grey = [row.name for row in section.rows if row.is_baseline or row.is_gold or row.is_control]
    return Charts([row.name for row in section.rows], grey)


def _levels(section: Section, charts: Charts, split: Split) -> Plot | None:
    """Every metric of a split in both modalities, with its interval (the paper's figure 4)."""
    hidden = {member for row in section.rows for member in row.members}
    records = [
        _record(row, column, VIEW_TITLES[modality], cell)
        for modality in MODALITIES
        for row, column, cell in _cells(section, split.name, modality)
        if cell.value is not None and row.name not in hidden
    ]
    people = max((cell.people or 0 for _, _, cell in _cells(section, split.name, MODALITIES[0])), default=0)
    whom = f", {people} people" if people else ""
    good = "left is better" if split.is_forgotten else "right is better"
    caption = "Scores in percent of the highest that there is; lines are 95 % intervals over people."
    if split.is_forgotten and section.evidence is not None and section.evidence.is_gold:
        caption += " Where gold stands nothing is left to forget; beyond it is damage."
    return charts.levels(f"{split.title}{whom}: {good}", records, caption)


def _trade_off(section: Section, charts: Charts) -> Plot | None:
    """What was forgotten against what was kept of general benchmarks (the paper's figures 5 and 12)."""
    records = []
    for row in section.rows:
        forgotten = row.derived.get("forgetting_rate", Cell()).value
        kept = row.derived.get("retention_rate_utility", Cell()).value
        if forgotten is not None and kept is not None:
            source = "published" if row.is_published else "measured"
            records.append({"run": row.name, "forgotten": forgotten, "kept": kept, "source": source})
    title = "Trade-off: forgetting against the general benchmarks"
    return charts.points(title, records, ("forgotten", "forgetting rate, %"), ("kept", "retention rate, %"))


def _by_strength(section: Section, charts: Charts) -> Iterator[Plot | None]:
    """Rates by the strength of a method (the paper's table 2 as lines), of variants that were run at several of it."""
    found: dict[str, list[Record]] = {}
    for row in section.rows:
        edit = row.run.edit if row.run else None
        if edit is None or edit.strength is None or edit.strength not in edit.variant or not row.derived:
            continue
        others = {name: value for name, value in edit.variant.items() if name != edit.strength}
        unit = edit.units.get(edit.strength)
        axis = edit.strength.replace("_", " ") + (f", {unit}" if unit else "")
        label = dataclasses.replace(edit, variant=others).label
        for name, share in _RATES:
            value = row.derived[name].value
            if value is not None:
                strength = float(edit.variant[edit.strength])
                record = {"variant": label, "strength": strength, "share": share, "percent": value, "run": row.name}
                found.setdefault(axis, []).append(record)
    for axis, records in found.items():
        strengths = {(record["variant"], record["strength"]) for record in records}
        counts = collections.Counter(variant for variant, _ in strengths)
        several = [record for record in records if counts[record["variant"]] > 1]
        title = f"By {axis.partition(',')[0]}: forgotten and retained"
        yield charts.by_strength(title, several, axis, "percent", "% of the baseline")


def _layers(section: Section, charts: Charts) -> Iterator[Plot | None]:
    """Share of neurons pruned in each layer, where the edit's record tells."""
    towers: dict[str, list[Record]] = {}
    for row in _edited(section):
        for tower, counts in _recorded(row, "layers").items():
            for layer, (pruned, total) in enumerate(counts):
                share = 100 * pruned / total if total else 0.0
                towers.setdefault(tower, []).append({"run": row.name, "layer": layer, "pruned %": share})
    for tower, records in towers.items():
        yield charts.by_layer(f"Neurons pruned in each layer, {tower} tower", records, "pruned %", "pruned, %")


def _activations(section: Section, charts: Charts) -> Iterator[Plot | None]:
    """How many neurons have which mean activation (the paper's figure 6), and how many of those that were pruned.

    The former is the measured model's alone: runs of the same measurement share its lines, under the first one's name.
    """
    measured: dict[str, list[Record]] = {}
    pruned: dict[tuple[str, str], list[Record]] = {}
    drawn = []
    for row in _edited(section):
        for tower, recorded in _recorded(row, "activations").items():
            for part, counts in recorded["neurons"].items():
                group, modality = part.split("/")
                place = {"run": row.name, "set": group, "modality": VIEW_TITLES[modality]}
                if (tower, part, recorded["edges"], counts) not in drawn:
                    drawn.append((tower, part, recorded["edges"], counts))
                    measured.setdefault(tower, []).extend(_counts(place, recorded["edges"], counts))
                chosen = _counts(place, recorded["edges"], recorded["pruned"][part])
                pruned.setdefault((tower, modality), []).extend(chosen)
    for tower, records in measured.items():
        title = f"Activations of the neurons, {tower} tower"
        yield Charts(("retain", "forget")).by_activation(title, records, "set", "modality")
    for (tower, modality), records in pruned.items():
        title = f"Activations of the pruned neurons, {tower} tower, {VIEW_TITLES[modality]}"
        yield charts.by_activation(title, records, "run", "set")


def _edited(section: Section) -> list[Row]:
    """The rows whose edits are looked at: those to be judged, or the controls where there is nothing else."""
    edited = [row for row in section.rows if row.run and row.run.edit]
    return [row for row in edited if row.is_candidate] or edited


def _counts(place: Record, edges: Sequence[float], counts: Sequence[int]) -> Iterator[Record]:
    """A record for each bin, which stands at its middle on a logarithmic axis."""
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        yield {**place, "mean |z|": f"{math.sqrt(low * high):.3g}", "neurons": count}


def _recorded(row: Row, name: str) -> Mapping[str, Any]:
    """What the record of a run's edit tells in its details by tower; empty where it does not."""
    edit = row.run.edit if row.run else None
    return edit.details.get(name) or {} if edit is not None else {}


def _residuals(section: Section, charts: Charts) -> Iterator[Plot | None]:
    """Knowledge residual of each layer relative to the baseline's (the paper's figure 2)."""
    found = {row.name: residual_of(row.run, section.forget_ratio, section.benchmark) for row in section.rows if row.run}
    base = found.get(section.baseline.name) if section.baseline else None
    for part, reference in (base.layers if base else {}).items():
        records = [
            {"run": name, "layer": layer, "percent": 100 * value / before}
            for name, residual in found.items()
            if residual is not None and residual is not base and len(residual.layers.get(part, ())) == len(reference)
            for layer, (value, before) in enumerate(zip(residual.layers[part], reference, strict=True), 1)
            if before > 0
        ]
        name, modality = part.split("/")
        title = f"Knowledge residual by layer, {name} set, {VIEW_TITLES[modality]}"
        yield charts.by_layer(title, records, "percent", "probability of the answer, % of the baseline's")


def _cells(section: Section, split: str, modality: str) -> Iterator[tuple[Row, Column, Cell]]:
    for column in section.columns_of(split):
        for row in section.rows:
            if not row.is_published:
                yield row, column, row.cell(column, modality)


def _record(row: Row, column: Column, modality: str, cell: Cell) -> Record:
    """A dot on a common scale from 0 to 100, the highest score that there is: ROUGE-L times 100, for one."""
    factor = 100 / column.metric.maximum
    low, high = (None if bound is None else factor * bound for bound in cell.interval or cell.spread or (None, None))
    shown = None if cell.value is None else factor * cell.value
    return {
        "run": row.name,
        "metric": column.metric.label,
        "modality": modality,
        "value": shown,
        "low": low,
        "high": high,
    }
