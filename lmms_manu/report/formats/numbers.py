"""How numbers are written, the same in every output."""

from __future__ import annotations

import dataclasses

from lmms_manu.benchmarks.base import Metric
from lmms_manu.report.cells import Cell

DASH = "–"
_MINUS = "−"


def plain(value: float, digits: int, *, sign: bool = False) -> str:
    """A number with a true minus sign, and with a plus sign if `sign` asks for one."""
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", _MINUS)


def value_text(cell: Cell, digits: int) -> str:
    """The value; a dash where nothing was measured."""
    return DASH if cell.value is None else plain(cell.value, digits)


def change_text(cell: Cell, digits: int) -> str:
    """The change against the baseline; empty without one."""
    return "" if cell.change is None else plain(cell.change, digits, sign=True)


def interval_text(bounds: tuple[float, float] | None, digits: int, *, sign: bool = False) -> str:
    """An interval in brackets; empty without one."""
    if bounds is None:
        return ""
    return f"[{plain(bounds[0], digits, sign=sign)}, {plain(bounds[1], digits, sign=sign)}]"


def spread_text(cell: Cell, digits: int) -> str:
    """The lowest and the highest of the values that a mean is of; empty for a single value."""
    if cell.spread is None:
        return ""
    return f"{plain(cell.spread[0], digits)} to {plain(cell.spread[1], digits)}"


def on_scale(cell: Cell, metric: Metric) -> Cell:
    """A cell as people read it: shares of 1, such as ROUGE-L, on the scale from 0 to 100 of all other shares.

    Files for programs and gates keep the unit of the metric.
    """
    if metric.maximum != 1:
        return cell
    value, change = (None if number is None else 100 * number for number in (cell.value, cell.change))
    interval, spread, changed = (
        None if bounds is None else (100 * bounds[0], 100 * bounds[1])
        for bounds in (cell.interval, cell.spread, cell.change_interval)
    )
    return dataclasses.replace(
        cell, value=value, change=change, interval=interval, spread=spread, change_interval=changed
    )


def value_digits(metric: Metric) -> int:
    """Decimals of a value as people read it."""
    return max(metric.digits - 2, 1) if metric.maximum == 1 else metric.digits


def change_digits(metric: Metric) -> int:
    """Decimals of changes and intervals: of percent one less than of the value, which is more than their precision."""
    return metric.digits if metric.maximum != 1 and metric.unit != "%" else max(value_digits(metric) - 1, 1)
