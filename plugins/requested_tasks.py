"""The tasks that the harness was asked for, told to the model, which the harness makes before it loads them."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from lmms_manu.benchmarks.base import Benchmark
from lmms_manu.benchmarks.registry import benchmarks

People = tuple[str, int]
"""A benchmark and a forget ratio of it."""

_requested: tuple[str, ...] = ()


def note_requested_tasks(tasks: Iterable[str]) -> None:
    """Remembers the tasks and groups that the next model will be asked."""
    global _requested
    _requested = tuple(tasks)


def take_requested_tasks() -> tuple[str, ...]:
    """The announced tasks and groups; the next model is told anew."""
    tasks = _requested
    note_requested_tasks(())
    return tasks


def people_of_tasks(tasks: Iterable[str]) -> dict[str, People]:
    """Whom each of the tasks and groups with a forget ratio asks about."""
    people = _people(benchmarks())
    return {task: people[task] for task in tasks if task in people}


def people_of(task: str) -> People | None:
    """Whom a task or group asks about, None where it has no forget ratio."""
    return _people(benchmarks()).get(task)


@functools.lru_cache(maxsize=8)
def _people(known: tuple[Benchmark, ...]) -> dict[str, People]:
    found: dict[str, People] = {}
    for benchmark in known:
        for ratio in benchmark.ratios:
            found[benchmark.everything(ratio)] = (benchmark.name, ratio)
        for task in benchmark.tasks():
            if task.ratio is not None:
                found |= dict.fromkeys((task.name, task.group), (benchmark.name, task.ratio))
    return found
