"""The benchmarks by name: those of the package, those of installed packages, and those that a program registers."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
from collections.abc import Iterable, Mapping

from lmms_manu.benchmarks.base import Benchmark, DataChoice, Task
from lmms_manu.errors import DataError, SettingError, first_line, one_of

logger = logging.getLogger(__name__)

DEFAULT_BENCHMARK = "mllmu"
"""Whose people are forgotten if nobody says otherwise; its columns go by split and metric alone."""

OF_FILES = "own"
"""The benchmark whose people stand in tables that the user names."""

GROUP = "lmms_manu.benchmarks"
"""The group of entry points in which installed packages name their benchmarks."""

_BUILT_IN: Mapping[str, str] = {
    "mllmu": "lmms_manu.benchmarks.mllmu.benchmark:Mllmu",
    "clear": "lmms_manu.benchmarks.clear.benchmark:Clear",
    OF_FILES: "lmms_manu.benchmarks.own.benchmark:Own",
}
_registered: dict[str, str | type[Benchmark]] = {}


def register(name: str, benchmark: str | type[Benchmark]) -> None:
    """Makes a benchmark known in this process.

    A package that is installed names it in its metadata instead, so that the harness's command knows it as well:

        [project.entry-points."lmms_manu.benchmarks"]
        mine = "my_package.benchmark:Mine"

    Args:
        name: the benchmark's `name`.
        benchmark: the class, or `module:Class`, which is imported when it is asked for.

    Raises:
        SettingError: there is another benchmark of this name.
    """
    if name in _BUILT_IN or name in _installed():
        raise SettingError(f"benchmark={name!r} is taken: choose another name than {', '.join(names())}.")
    _registered[name] = benchmark


def unregister(name: str) -> None:
    """Takes back `register`."""
    _registered.pop(name, None)


def names() -> tuple[str, ...]:
    """The names of all benchmarks, those of the package first."""
    return tuple(dict.fromkeys((*_BUILT_IN, *_installed(), *_registered)))


def get_benchmark(name: str) -> Benchmark:
    """The benchmark of this name.

    Raises:
        SettingError: there is none, or it cannot be imported or used.
    """
    places: dict[str, str | type[Benchmark]] = {**_registered, **_installed(), **_BUILT_IN}
    if name not in places:
        raise one_of("benchmark", name, names())
    return _load(name, places[name])


def benchmarks() -> tuple[Benchmark, ...]:
    """All benchmarks; one of another package that cannot be used is left out with a warning."""
    return (*map(get_benchmark, _BUILT_IN), *guests())


def guests() -> tuple[Benchmark, ...]:
    """The benchmarks that the package does not bring, as far as they can be used."""
    found = []
    for name in names():
        try:
            found += [] if name in _BUILT_IN else [get_benchmark(name)]
        except SettingError as error:
            _warn(str(error))
    return tuple(found)


def announce_model(model_type: str | None) -> None:
    """Tells the benchmarks which family of model their questions go to, None for one that is not known."""
    for benchmark in benchmarks():
        benchmark.meet(model_type)


def announce_choice(settings: DataChoice | None) -> None:
    """Tells the benchmarks whom the model that is asked next was to forget, None where that is not known."""
    for benchmark in benchmarks():
        benchmark.choose(settings)


def owner_of(name: str) -> Benchmark | None:
    """The benchmark that a task, or a group of its tasks, belongs to; None if it is none's."""
    for benchmark in benchmarks():
        known = {benchmark.everything(ratio) for ratio in benchmark.ratios or (None,)}
        if name in known or any(name in (task.name, task.group) for task in benchmark.tasks()):
            return benchmark
    return None


def check_questions(tasks: Iterable[str]) -> None:
    """Refuses tasks and groups that their benchmark's data has no question for.

    Raises:
        DataError: there is such a task.
    """
    for name in tasks:
        benchmark = owner_of(name)
        if benchmark is not None and (reason := benchmark.no_questions(name)):
            raise DataError(reason)


def find_task(name: str) -> Task | None:
    """The task of this name, None if it belongs to no benchmark: a stock task, or the user's own."""
    return tasks().get(name)


def tasks() -> Mapping[str, Task]:
    """The tasks of all benchmarks by name; where two have a task of one name it is the first one's."""
    return _tasks(benchmarks())


@functools.lru_cache(maxsize=8)
def _tasks(known: tuple[Benchmark, ...]) -> Mapping[str, Task]:
    found: dict[str, Task] = {}
    for task in (task for benchmark in known for task in benchmark.tasks()):
        found.setdefault(task.name, task)
    return found


def forget_installed() -> None:
    """Has the installed packages looked for again, where some came or went while the program runs."""
    _installed.cache_clear()


@functools.cache
def _installed() -> Mapping[str, str]:
    return {point.name: point.value for point in importlib.metadata.entry_points(group=GROUP)}


@functools.cache
def _load(name: str, place: str | type[Benchmark]) -> Benchmark:
    try:
        benchmark = _class_at(place)() if isinstance(place, str) else place()
        _check(name, benchmark)
    except Exception as error:
        if name in _BUILT_IN:
            raise
        raise SettingError(f"benchmark={name!r} ({place}) cannot be used: {first_line(error)}") from error
    return benchmark


def _class_at(place: str) -> type[Benchmark]:
    module, _, attribute = place.partition(":")
    found: type[Benchmark] = getattr(importlib.import_module(module), attribute)
    return found


def _check(name: str, benchmark: Benchmark) -> None:
    """Refuses a benchmark that contradicts itself.

    Raises:
        SettingError: what a table or a task refers to is not there.
    """
    if benchmark.name != name:
        raise SettingError(f"it is called {benchmark.name!r} itself.")
    splits = [split.name for split in benchmark.splits]
    if not any(split.is_forgotten for split in benchmark.splits):
        raise SettingError("it has no split of role forget.")
    kinds = {metric.kind for metric in benchmark.metrics}
    for task in benchmark.tasks():
        if task.benchmark != name:
            raise one_of(f"benchmark of {task.name}", task.benchmark, [name])
        if task.split not in splits:
            raise one_of(f"split of {task.name}", task.split, splits)
        if task.kind not in kinds:
            raise one_of(f"kind of {task.name}", task.kind, sorted(kinds))
        if task.ratio is not None and task.ratio not in benchmark.ratios:
            raise one_of(f"ratio of {task.name}", task.ratio, benchmark.ratios)


@functools.cache
def _warn(message: str) -> None:
    logger.warning("%s", message)
