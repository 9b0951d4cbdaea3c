"""Reads `gate.yaml`: the conditions that results have to meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lmms_manu.benchmarks.registry import benchmarks, names
from lmms_manu.errors import SettingError, nearest
from lmms_manu.report.derived import derived_by_name, derived_of
from lmms_manu.report.metrics import MEAN, VIEWS, columns_by_name, quality_columns
from lmms_manu.report.results_file import finite
from lmms_manu.yaml_files import read_yaml

VERSION = 1
LARGEST_COST = "largest_cost"
"""The points lost on the split that is to be kept and lost the most: what a budget is about."""

BOUNDS = {
    "at_least": "the value is at least this",
    "at_most": "the value is at most this",
    "drop_at_least": "the value is at least this much below the baseline's",
    "drop_at_most": "the value is at most this much below the baseline's",
    "percent_of_baseline_at_least": "the value is at least this share of the baseline's, in percent",
    "percent_of_baseline_at_most": "the value is at most this share of the baseline's, in percent",
}
_TOP = ("version", "baseline", "gold", "runs", "budget", "conditions")
_KEYS = ("name", "metric", "modality", "runs", "benchmark", "forget_ratio", "interval", *BOUNDS)


def metrics() -> tuple[str, ...]:
    """What a condition may be about: columns, derived numbers, and counts of unusable answers on every split."""
    return (*columns_by_name(), *derived_by_name(), LARGEST_COST, *_everywhere())


def _everywhere() -> tuple[str, ...]:
    return tuple(dict.fromkeys(column.metric.name for column in quality_columns()))


@dataclasses.dataclass(frozen=True)
class Condition:
    """One condition.

    Args:
        name: what to call it.
        metric: one of `metrics()`; `unparsed` and `not_judged` alone mean every split that was run.
        views: the modalities in which it has to hold.
        bound: one of `BOUNDS`.
        limit: the number of the bound.
        interval: whether the whole 95 % interval has to lie within the bound, not just the value.
        runs: names of the runs that it is about, None for all but the baseline, gold and controls.
        forget_ratio: the ratio that it is about, None for every one that was run.
        benchmark: the benchmark that it is about, None for every one that has the metric.
    """

    name: str
    metric: str
    views: tuple[str, ...]
    bound: str
    limit: float
    interval: bool = False
    runs: tuple[str, ...] | None = None
    forget_ratio: int | None = None
    benchmark: str | None = None

    def is_about(self, benchmark: str, forget_ratio: int | None) -> bool:
        """Whether it has to hold for the people of a benchmark and ratio."""
        if self.benchmark not in (None, benchmark) or self.forget_ratio not in (None, forget_ratio):
            return False
        if self.metric == LARGEST_COST:
            return bool(derived_of(benchmark))
        if self.is_derived:
            return self.metric in {derived.name for derived in derived_of(benchmark)}
        return any(columns_by_name()[name].benchmark in ("", benchmark) for name in self.columns)

    @property
    def is_derived(self) -> bool:
        """Whether it is about a number that is relative to the baseline already."""
        return self.metric in derived_by_name() or self.metric == LARGEST_COST

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns or the derived number that it reads."""
        if self.is_everywhere:
            return tuple(column.name for column in quality_columns() if column.metric.name == self.metric)
        return (self.metric,)

    @property
    def is_everywhere(self) -> bool:
        return self.metric in _everywhere()


@dataclasses.dataclass(frozen=True)
class GateConfig:
    """The conditions, and the names of the baseline and of gold if the file gives them."""

    conditions: tuple[Condition, ...]
    baseline: str | None = None
    gold: str | None = None


def read_config(path: str | Path) -> GateConfig:
    """Reads and checks a gate's YAML file.

    Raises:
        DataError: there is no such file, or it cannot be read or is not YAML.
        SettingError: a key, metric, modality or number is wrong; the message names the nearest valid name.
    """
    return parse_config(read_yaml(path), str(path))


def parse_config(content: Any, source: str) -> GateConfig:
    """Checks what a YAML file held; raises as `read_config` does."""
    if not isinstance(content, Mapping):
        raise SettingError(f"{source} is not a gate: it needs `version: {VERSION}` and a list `conditions`.")
    _check_keys(content, _TOP, source)
    if content.get("version") != VERSION:
        raise SettingError(f"{source}: version={content.get('version')!r} is not known, this package reads {VERSION}.")
    entries = content.get("conditions")
    if not isinstance(entries, list) or not entries:
        raise SettingError(f"{source}: `conditions` has to be a list of at least one condition.")
    runs = _names(content.get("runs"), f"{source}: runs")
    baseline, gold = content.get("baseline"), content.get("gold")
    conditions = [_condition(entry, f"{source}, condition {n}", runs) for n, entry in enumerate(entries, 1)]
    if "budget" in content:
        within = {"name": "within the budget", "metric": LARGEST_COST, "at_most": content["budget"]}
        conditions.insert(0, _condition(within, f"{source}, budget", runs))
    return GateConfig(
        tuple(conditions), None if baseline is None else str(baseline), None if gold is None else str(gold)
    )


def _condition(entry: Any, where: str, runs: tuple[str, ...] | None) -> Condition:
    if not isinstance(entry, Mapping):
        raise SettingError(f"{where}: {entry!r} is not a table of keys and values.")
    _check_keys(entry, _KEYS, where)
    metric = entry.get("metric")
    if metric not in metrics():
        raise _unknown(where, "metric", metric, metrics())
    bounds = [name for name in BOUNDS if name in entry]
    if len(bounds) != 1:
        given = " and ".join(bounds) or "none"
        raise SettingError(f"{where}: needs exactly one of {', '.join(BOUNDS)}; it has {given}.")
    bound = bounds[0]
    if metric in (*derived_by_name(), LARGEST_COST) and bound not in ("at_least", "at_most"):
        raise SettingError(f"{where}: {metric} is relative to the baseline already: use at_least or at_most.")
    limit = entry[bound]
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or finite(limit) is None:
        raise SettingError(f"{where}: {bound}={limit!r:.40} is not a number that a value can be held against.")
    interval = entry.get("interval", False)
    if not isinstance(interval, bool):
        raise SettingError(f"{where}: interval={interval!r} is not a truth value: use true or false.")
    benchmark, ratio = entry.get("benchmark"), entry.get("forget_ratio")
    if benchmark is not None and benchmark not in names():
        raise _unknown(where, "benchmark", benchmark, names())
    ratios = sorted({ratio for known in benchmarks() if benchmark in (None, known.name) for ratio in known.ratios})
    if ratio is not None and ratio not in ratios:
        raise _unknown(where, "forget_ratio", ratio, ratios)
    return Condition(
        name=str(entry.get("name") or f"{metric} {bound.replace('_', ' ')} {limit:g}"),
        metric=str(metric),
        views=_views(entry.get("modality"), str(metric), where),
        bound=bound,
        limit=float(limit),
        interval=interval,
        runs=_names(entry.get("runs"), f"{where}: runs") or runs,
        forget_ratio=ratio,
        benchmark=benchmark,
    )


def _views(given: Any, metric: str, where: str) -> tuple[str, ...]:
    if given is None:
        return (MEAN,)
    views = _names(given, f"{where}: modality") or ()
    for view in views:
        if view not in VIEWS:
            raise _unknown(where, "modality", view, VIEWS)
    column = columns_by_name().get(metric)
    has_modalities = metric not in (*derived_by_name(), LARGEST_COST) and (column is None or not column.task)
    if not has_modalities and views != (MEAN,):
        raise SettingError(f"{where}: {metric} has no modalities: leave out `modality`.")
    return views


def _names(given: Any, where: str) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise SettingError(f"{where}: {given!r} is neither a name nor a list of names.")
    return tuple(names)


def _check_keys(table: Mapping[Any, Any], known: Iterable[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise _unknown(where, "key", key, known)


def _unknown(where: str, kind: str, value: object, known: Iterable[object]) -> SettingError:
    options = [str(option) for option in known]
    return SettingError(
        f"{where}: {kind} {value!r} is not known.{nearest(str(value), options)} Known are {', '.join(options)}."
    )
