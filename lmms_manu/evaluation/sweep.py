"""Evaluates a grid of settings; what they share (measured statistics, finished edits) is computed once and cached."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmms_manu.errors import SettingError
from lmms_manu.evaluation.evaluate import Evaluation
from lmms_manu.methods.base import Method
from lmms_manu.methods.record import UNEDITED
from lmms_manu.methods.registry import method_class
from lmms_manu.methods.settings import DEFAULT_METHOD
from lmms_manu.settings import from_arguments

BASELINE = "vanilla"
_SEED = "seed"


@dataclasses.dataclass(frozen=True)
class Point:
    """One combination of settings.

    Args:
        name: the name of its folder, such as `paper-2-seed3`, or `vanilla`.
        model_args: its arguments of `manu_pruned`.
        seedless: the name without the word for the seed; empty where it is the same.
    """

    name: str
    model_args: Mapping[str, object]
    seedless: str = ""


def points(grid: Mapping[str, Sequence[str]], common: Mapping[str, object]) -> tuple[Point, ...]:
    """Every combination of the grid's values once, after the vanilla model that they are compared with.

    Args:
        grid: the values of each setting that varies.
        common: the settings that all points share.

    Raises:
        SettingError: the grid is empty, a setting is both in the grid and common to all, or there is no such method.
    """
    if not grid or not all(grid.values()):
        raise SettingError("A sweep needs a setting with values, such as --prune-rate 2,5,10.")
    return (_vanilla(common), *_combinations(grid, common))


def points_of_runs(runs: Mapping[str, Mapping[str, Sequence[str]]], common: Mapping[str, object]) -> tuple[Point, ...]:
    """The runs of a file, after the vanilla model that they are compared with.

    Args:
        runs: by name the settings of each; one with several values is swept, and the names get them as a further word.
        common: the settings that all runs share.

    Raises:
        SettingError: a run has the name of the vanilla model, a setting is both in a run and common to all, or there
            is no such method.
    """
    if BASELINE in runs:
        raise SettingError(f"runs={BASELINE!r} is evaluated in any case: leave it out, or give the run another name.")
    found = [_vanilla(common)]
    for name, settings in runs.items():
        _check_apart(settings, common)
        single = {setting: values[0] for setting, values in settings.items() if len(values) == 1}
        swept = {setting: values for setting, values in settings.items() if len(values) > 1}
        found += _combinations(swept, {**common, **single}, name)
    return tuple(found)


def _vanilla(common: Mapping[str, object]) -> Point:
    own = method_class(str(common.get("method", DEFAULT_METHOD))).config_class.names()
    return Point(BASELINE, {**{name: value for name, value in common.items() if name not in own}, "method": UNEDITED})


def _check_apart(settings: Mapping[str, Sequence[str]], common: Mapping[str, object]) -> None:
    if twice := sorted(settings.keys() & common.keys()):
        raise SettingError(
            f"{', '.join(twice)} cannot be both shared by all (--model-args) and swept over, or set by a run: leave "
            "out one of them."
        )


def _combinations(grid: Mapping[str, Sequence[str]], common: Mapping[str, object], prefix: str = "") -> list[Point]:
    """Every combination of the grid's values once; without a name of theirs, but for edits that change nothing.

    Args:
        grid: the values of each setting that varies.
        common: the settings that all points share.
        prefix: the first word of the names; without one there are only those for the values.
    """
    _check_apart(grid, common)
    axes = [{_value(value): value for value in values}.values() for values in grid.values()]
    method = method_class(str(common.get("method", DEFAULT_METHOD)))
    own = method.config_class.names()
    found = []
    for values in itertools.product(*axes):
        combination = dict(zip(grid, values, strict=True))
        words = {
            name: value if name in method.label_fields and _speaks(name, value, method.units) else f"{name}{value}"
            for name, value in combination.items()
        }
        start = [prefix] if prefix else []
        seedless = "-".join([*start, *(word for name, word in words.items() if name != _SEED)])
        point = Point("-".join([*start, *words.values()]), {**common, **combination}, seedless)
        if prefix or not _changes_nothing(point, own, method):
            found.append(point)
    return found


def with_controls(points: Sequence[Point], count: int) -> tuple[Point, ...]:
    """The points, each that is an edit followed by `count` random controls of the same size, seeds 0, 1, ...

    Raises:
        SettingError: `count` is less than 1, or none of the points has a control.
    """
    if count < 1:
        raise SettingError(f"control={count} is out of range: allowed is at least 1.")
    found: list[Point] = []
    for point in points:
        found.append(point)
        for control in (control_of(point, seed) for seed in range(count)):
            # Draws of a method whose seeds are swept have the same controls.
            if control is not None and all(control.model_args != other.model_args for other in found):
                found.append(control)
    if len(found) == len(points):
        asked = ", ".join(point.name for point in points)
        raise SettingError(f"control={count}: {asked} has no random control of the same size: leave --control out.")
    return tuple(found)


def control_of(point: Point, seed: int) -> Point | None:
    """The random control of a point, of the same size; None where it has none."""
    method = method_class(str(point.model_args.get("method", DEFAULT_METHOD)))
    own = {name: value for name, value in point.model_args.items() if name in method.config_class.names()}
    (config,) = from_arguments(own, method.config_class)
    drawn = method(config).control(seed)
    named = point.seedless or point.name
    return None if drawn is None else Point(f"{named}-control{seed}", {**point.model_args, **drawn})


def _changes_nothing(point: Point, own: Sequence[str], method: type[Method[Any]]) -> bool:
    """Whether a point is the vanilla model once more, such as by a prune rate of 0."""
    arguments = {name: value for name, value in point.model_args.items() if name in own}
    (config,) = from_arguments(arguments, method.config_class)
    return bool(method(config).changes_nothing())


def _speaks(name: str, value: str, units: Mapping[str, str]) -> bool:
    """Whether a value says what it is without its setting's name: a text, or a number with a unit."""
    return name in units or isinstance(_value(value), str)


def _value(text: str) -> float | str:
    """A value as it compares: `2` and `2.0` are the same."""
    try:
        return float(text)
    except ValueError:
        return text


def at(point: Point, evaluation: Evaluation, below: Path) -> Evaluation:
    """The evaluation of one point, with a folder of its own `below` one."""
    return dataclasses.replace(evaluation, model_args=point.model_args, output=below / point.name)
