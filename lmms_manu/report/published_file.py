"""Reads a CSV file of published numbers, the project's own and anybody's: a line a number."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from lmms_manu.benchmarks.base import MODALITIES
from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, get_benchmark, names
from lmms_manu.errors import DataError, nearest
from lmms_manu.report.cells import Cell, CellKey
from lmms_manu.report.metrics import MEAN, UTILITY, columns_by_name

REQUIRED = ("model", "method", "metric", "value")
OPTIONAL = ("benchmark", "forget_ratio", "split", "modality", "prune_rate", "scale", "table", "note")
_OTHER_NAMES = {"rougeL": "rouge_l", "mmvet": "mm_vet"}


@dataclasses.dataclass(frozen=True)
class Number:
    """A published number.

    Args:
        model: what was edited, such as `llava-1.5-7b`.
        method: how, or `vanilla` for the model as it was.
        prune_rate: the method's strength in percent; empty for one without.
        benchmark: whose people were to be forgotten.
        forget_ratio: percent of them; None where there is no ratio.
        place: the column of a report and its view.
        cell: the value in the unit of the column's metric, None where its source garbles it, and a note.
        table: the table of its source; may be empty.
    """

    model: str
    method: str
    prune_rate: str
    benchmark: str
    forget_ratio: int | None
    place: CellKey
    cell: Cell
    table: str


def read_published(path: str | os.PathLike[str]) -> tuple[Number, ...]:
    """The numbers of a file, in its order.

    Raises:
        DataError: it cannot be read, lacks a column, or holds a line that says nothing a report has a place for.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a CSV file of published numbers: {error}") from None
    reader = csv.DictReader(text.splitlines())
    found = reader.fieldnames or ()
    missing = [name for name in REQUIRED if name not in found]
    unknown = [name for name in found if name not in (*REQUIRED, *OPTIONAL)]
    if missing or unknown:
        wrong = [*(f"lacks the column {name}" for name in missing), *(f"has a column {name}" for name in unknown)]
        raise DataError(
            f"{path} {' and '.join(wrong)}: a file of published numbers has {', '.join(REQUIRED)}, and may have "
            f"{', '.join(OPTIONAL)}."
        )
    return tuple(_number(f"{path}, line {reader.line_num}", line) for line in reader)


def _number(place: str, line: Mapping[str | None, str | None]) -> Number:
    if None in line or None in line.values():
        raise DataError(f"{place}: it has not as many values as the file has columns.")
    given = {str(name): str(value).strip() for name, value in line.items()}
    benchmark = _benchmark(place, given.get("benchmark", ""))
    name = _column(place, given, benchmark)
    metric = columns_by_name()[name].metric
    modality = given.get("modality") or MEAN
    if modality not in (MEAN, *MODALITIES):
        raise DataError(f"{place}: modality={modality!r} is none of {', '.join((MEAN, *MODALITIES))}.")
    value = _float(place, "value", given["value"])
    if (scale := _float(place, "scale", given.get("scale", ""))) and value is not None:
        value *= metric.maximum / scale
    if value is not None and not 0 <= value <= metric.maximum:
        raise DataError(
            f"{place}: {given['value']} is beyond the {metric.maximum:g} that {name} goes up to: say in `scale` what "
            "the file's numbers go up to."
        )
    rate, ratio = given.get("prune_rate", ""), _float(place, "forget_ratio", given.get("forget_ratio", ""))
    _float(place, "prune_rate", rate)
    return Number(
        model=given["model"],
        method=given["method"],
        prune_rate=rate,
        benchmark=benchmark,
        forget_ratio=None if ratio is None else int(ratio),
        place=(name, modality),
        cell=Cell(value=value, note=given.get("note", "")),
        table=given.get("table", ""),
    )


def _benchmark(place: str, given: str) -> str:
    titles = {get_benchmark(name).title.lower(): name for name in names()} | {name: name for name in names()}
    if not given:
        return DEFAULT_BENCHMARK
    if given.lower() not in titles:
        raise DataError(f"{place}: benchmark={given!r} is none of {', '.join(names())}.{nearest(given, titles)}")
    return titles[given.lower()]


def _column(place: str, given: Mapping[str, str], benchmark: str) -> str:
    split = given.get("split") or UTILITY
    prefix = "" if benchmark == DEFAULT_BENCHMARK or split == UTILITY else f"{benchmark}."
    name = f"{prefix}{split}.{_OTHER_NAMES.get(given['metric'], given['metric'])}"
    known = columns_by_name()
    if name not in known:
        raise DataError(
            f"{place}: a report has no {name}.{nearest(name, known)} `split` and `metric` are those of gates."
        )
    return name


def _float(place: str, name: str, text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise DataError(f"{place}: {name}={text!r} is no number.") from None
