"""What a report can show: each benchmark's metrics by split and modality, and the general benchmarks of the harness."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

from lmms_manu.benchmarks.base import MODALITIES, Benchmark, Metric, Task
from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, benchmarks
from lmms_manu.benchmarks.stock import STOCK_BENCHMARKS

MEAN = "mean"
VIEWS = (MEAN, *MODALITIES)
UTILITY = "utility"
UTILITY_TITLE = "General benchmarks"


@dataclasses.dataclass(frozen=True)
class Column:
    """A metric on a split.

    Args:
        split: the split's name; `utility` for the general benchmarks.
        metric: the metric.
        title: the split's heading.
        benchmark: whose split it is; empty for the general benchmarks.
        is_forgotten: whether the split asks about what was to be forgotten.
        members: the tasks behind the column, in the order of modalities; none for the general benchmarks.
        task: the harness's task of a general benchmark; empty for the others.
    """

    split: str
    metric: Metric
    title: str
    benchmark: str = ""
    is_forgotten: bool = False
    members: tuple[Task, ...] = dataclasses.field(default=(), repr=False)
    task: str = ""

    @property
    def name(self) -> str:
        """The name that gates and files use, such as `forget.cloze`, or `other.forget.cloze` of another benchmark."""
        prefix = "" if self.benchmark in ("", DEFAULT_BENCHMARK) else f"{self.benchmark}."
        return f"{prefix}{self.split}.{self.metric.name}"

    @property
    def higher_is_better(self) -> bool:
        """Forgetting shows as low scores on what was to be forgotten; everything else should stay high."""
        return self.metric.higher_when_forgotten if self.is_forgotten else self.metric.higher_is_better

    @property
    def sign(self) -> float:
        """1 where a higher score means that more is known, -1 where it means that less is."""
        return -1.0 if self.is_forgotten == self.higher_is_better else 1.0

    @property
    def arrow(self) -> str:
        return "↑" if self.higher_is_better else "↓"

    def tasks(self, ratio: int | None) -> dict[str, str]:
        """The harness's tasks behind the column, by modality; a general benchmark has one, under `mean`."""
        if self.task:
            return {MEAN: self.task}
        return {task.modality: task.name for task in self.members if task.ratio in (None, ratio)}


@dataclasses.dataclass(frozen=True)
class Derived:
    """A number that sums up a row; percent, or percentage points of a scale from 0 to 100."""

    name: str
    label: str
    meaning: str
    higher_is_better: bool


def columns() -> tuple[Column, ...]:
    """Every column of a table of scores: the benchmarks' own, then the general benchmarks."""
    return _columns(benchmarks())


def quality_columns() -> tuple[Column, ...]:
    """The columns that count answers which could not be used."""
    return _quality_columns(benchmarks())


def columns_by_name() -> Mapping[str, Column]:
    """Both kinds of columns."""
    return _columns_by_name(benchmarks())


@functools.lru_cache(maxsize=8)
def _columns(known: tuple[Benchmark, ...]) -> tuple[Column, ...]:
    own = [column for benchmark in known for column in _of(benchmark, benchmark.metrics)]
    stock = [Column(UTILITY, stock.metric, UTILITY_TITLE, task=stock.task) for stock in STOCK_BENCHMARKS]
    return (*own, *stock)


@functools.lru_cache(maxsize=8)
def _quality_columns(known: tuple[Benchmark, ...]) -> tuple[Column, ...]:
    return tuple(column for benchmark in known for column in _of(benchmark, benchmark.quality))


@functools.lru_cache(maxsize=8)
def _columns_by_name(known: tuple[Benchmark, ...]) -> Mapping[str, Column]:
    return {column.name: column for column in (*_columns(known), *_quality_columns(known))}


def _of(benchmark: Benchmark, metrics: tuple[Metric, ...]) -> list[Column]:
    """The columns of a benchmark that some task of it reports."""
    tasks = sorted(benchmark.tasks(), key=lambda task: MODALITIES.index(task.modality))
    found = []
    for split in benchmark.splits:
        for metric in metrics:
            members = tuple(task for task in tasks if (task.split, task.kind) == (split.name, metric.kind))
            if members:
                found.append(
                    Column(split.name, metric, split.title, benchmark.name, split.is_forgotten, members=members)
                )
    return found
