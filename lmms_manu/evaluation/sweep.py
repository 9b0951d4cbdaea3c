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


@dataclasses.dataclass(frozen=True)
class Point:
    """One combination of settings.

    Args:
        name: the name of its folder, such as `paper-2-seed3`, or `vanilla`.
        model_args: its arguments of `manu_pruned`.
    """

    name: str
    model_args: Mapping[str, object]


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
    twice = sorted(grid.keys() & common.keys())
    if twice:
        raise SettingError(f"{', '.join(twice)} cannot be both in --model-args and swept over: leave out one of them.")
    axes = [{_value(value): value for value in values}.values() for values in grid.values()]
    combinations = [dict(zip(grid, values, strict=True)) for values in itertools.product(*axes)]
    method = method_class(str(common.get("method", DEFAULT_METHOD)))
    edited = [
        Point(
            "-".join(
                value if name in method.label_fields and _speaks(name, value, method.units) else f"{name}{value}"
                for name, value in combination.items()
            ),
            {**common, **combination},
        )
        for combination in combinations
    ]
    own = method.config_class.names()
    kept = {name: value for name, value in common.items() if name not in own}
    vanilla = Point(BASELINE, {**kept, "method": UNEDITED})
    return (vanilla, *(point for point in edited if not _changes_nothing(point, own, method)))


def with_controls(points: Sequence[Point], count: int) -> tuple[Point, ...]:
    """The points, each that is an edit followed by `count` random controls of the same size, seeds 0, 1, ...

    Raises:
        SettingError: `count` is less than 1, or none of the points has a control.
    """
    if count < 1:
        raise SettingError(f"control={count} is out of range: allowed is at least 1.")
    found: list[Point] = []
    for point in points:
        drawn = [control_of(point, seed) for seed in range(count)]
        found += [point, *(control for control in drawn if control is not None)]
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
    return None if drawn is None else Point(f"{point.name}-control{seed}", {**point.model_args, **drawn})


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
