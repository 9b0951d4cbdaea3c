"""The rows that the MANU paper published on MLLMU-Bench, to be shown beside one's own."""

from __future__ import annotations

import csv
import dataclasses
import functools
import importlib.resources
from collections.abc import Iterable

from lmms_manu.errors import one_of
from lmms_manu.report.cells import Cell, CellKey, Row, Section
from lmms_manu.report.derived import derive
from lmms_manu.report.metrics import MEAN, UTILITY, columns, columns_by_name

PAPER = "Liu et al., ACL 2025 (arXiv 2502.15910)"
MODELS = ("llava-1.5-7b", "llava-1.5-13b", "idefics2-8b")
_BENCHMARK = "mllmu"
_VANILLA = "vanilla"
_METRICS = {"rougeL": "rouge_l", "mmvet": "mm_vet"}
_METHODS = {
    "vanilla": "Vanilla",
    "manu": "MANU",
    "gradient_ascent": "Gradient ascent",
    "gradient_difference": "Gradient difference",
    "kl_minimisation": "KL minimisation",
    "prompting": "Prompting",
    "npo": "NPO",
    "ablation_no_abs": "MANU without I_abs",
    "ablation_no_freq": "MANU without I_freq",
    "ablation_no_var": "MANU without I_var",
    "ablation_no_rms": "MANU without I_rms",
}


def reference_rows(model: str, forget_ratio: int) -> tuple[Row, ...]:
    """The published rows for a model and a forget ratio, as they stand in the paper's tables.

    Where two tables give different values for the same entry the one with the lower number is shown, and the row's
    note says so; errata of the tables stand in the cells' notes.

    Args:
        model: one of `MODELS`.
        forget_ratio: 5, 10 or 15.

    Raises:
        SettingError: an unknown model.
    """
    if model not in MODELS:
        raise one_of("reference", model, MODELS)
    cells: dict[tuple[str, str], dict[CellKey, Cell]] = {}
    conflicts: dict[tuple[str, str], set[str]] = {}
    for entry in _entries():
        if entry["model"] != model or entry["forget_ratio"] != str(forget_ratio):
            continue
        key = (entry["method"], entry["prune_rate"])
        column = _column(entry["split"], entry["metric"])
        if column is None:
            continue
        place = (column, MEAN)
        mine = cells.setdefault(key, {})
        # An entry that the paper's text garbles has no value, and its note says so.
        cell = Cell(value=float(entry["value"]) if entry["value"] else None, note=entry["note"])
        known = mine.setdefault(place, cell)
        if known.value != cell.value:
            conflicts.setdefault(key, set()).add(entry["table"])
    vanilla = cells.get((_VANILLA, ""), {})
    return tuple(
        _row(key, table, vanilla, sorted(conflicts.get(key, set())))
        for key, table in sorted(cells.items(), key=lambda item: _order(item[0]))
    )


def with_reference(section: Section, model: str) -> Section:
    """A section with the published rows for its ratio below its own; those of other benchmarks have none."""
    if section.forget_ratio is None or section.benchmark != _BENCHMARK:
        return section
    rows = reference_rows(model, section.forget_ratio)
    published = {column for row in rows for column, _ in row.cells}
    shown = {column.name for column in section.columns} | published
    together = tuple(column for column in columns() if column.name in shown)
    return dataclasses.replace(section, columns=together, rows=(*section.rows, *rows))


def guess_model(checkpoints: Iterable[str]) -> str:
    """The published model that checkpoints of these names are; LLaVA-1.5-7B if none is recognised."""
    names = " ".join(checkpoints).lower()
    if "idefics2" in names:
        return "idefics2-8b"
    return "llava-1.5-13b" if "13b" in names else "llava-1.5-7b"


@functools.cache
def _entries() -> tuple[dict[str, str], ...]:
    text = importlib.resources.files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(sorted(csv.DictReader(text.splitlines()), key=lambda entry: int(entry["table"])))


def _column(split: str, metric: str) -> str | None:
    name = f"{split or UTILITY}.{_METRICS.get(metric, metric)}"
    return name if name in columns_by_name() else None


def _row(key: tuple[str, str], cells: dict[CellKey, Cell], vanilla: dict[CellKey, Cell], tables: list[str]) -> Row:
    method, rate = key
    is_vanilla = method == _VANILLA
    if not is_vanilla:
        cells = {place: _changed(cell, vanilla.get(place)) for place, cell in cells.items()}
    name = " ".join(part for part in (_METHODS.get(method, method), f"{rate} %" if rate else "") if part)
    return Row(
        name=f"{name} (published)",
        cells=cells,
        derived={} if is_vanilla else derive(cells, vanilla, _BENCHMARK),
        is_baseline=is_vanilla,
        is_published=True,
        note=f"table {', '.join(tables)} of the paper gives other values for some entries" if tables else "",
    )


def _changed(cell: Cell, vanilla: Cell | None) -> Cell:
    if cell.value is None or vanilla is None or vanilla.value is None:
        return cell
    return Cell(value=cell.value, change=cell.value - vanilla.value, note=cell.note)


def _order(key: tuple[str, str]) -> tuple[int, float]:
    method, rate = key
    known = list(_METHODS)
    return (known.index(method) if method in known else len(known)), float(rate or 0)
