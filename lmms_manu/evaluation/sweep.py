"""Evaluates a grid of settings; what they share (the measured statistics, above all) is computed once and cached."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence

from lmms_manu.errors import SettingError
from lmms_manu.evaluation.evaluate import Evaluation, evaluate
from lmms_manu.methods.registry import get_method
from lmms_manu.methods.settings import DEFAULT_METHOD

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
    """Every combination of the grid's values once, after the vanilla model (prune rate 0) that they are compared with.

    Args:
        grid: the values of each setting that varies.
        common: the settings that all points share.

    Raises:
        SettingError: the grid is empty, a setting is both in the grid and common to all, or there is no such method.
    """
    if not grid or not all(grid.values()):
        raise SettingError("A sweep needs a setting with values, such as --prune_rate 2,5,10.")
    twice = sorted(grid.keys() & common.keys())
    if twice:
        raise SettingError(f"{', '.join(twice)} cannot be both in --model_args and swept over: leave out one of them.")
    axes = [{_value(value): value for value in values}.values() for values in grid.values()]
    combinations = [dict(zip(grid, values, strict=True)) for values in itertools.product(*axes)]
    edited = [
        Point("-".join(_word(name, value) for name, value in combination.items()), {**common, **combination})
        for combination in combinations
    ]
    vanilla = Point(BASELINE, {**_without_edit(common), "prune_rate": "0"})
    return (vanilla, *(point for point in edited if _value(str(point.model_args.get("prune_rate"))) != 0))


def _without_edit(arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments without the method's own: some of them are refused where nothing is edited."""
    method = get_method(str(arguments.get("method", DEFAULT_METHOD)))
    own = {name for settings in method.settings for name in settings.names()}
    return {name: value for name, value in arguments.items() if name not in own}


def _value(text: str) -> float | str:
    """A value as it compares: `2` and `2.0` are the same."""
    try:
        return float(text)
    except ValueError:
        return text


def _word(name: str, value: str) -> str:
    """A setting in a point's name: recipe and prune rate speak for themselves."""
    return value if name in ("recipe", "prune_rate") else f"{name}{value}"


def sweep(points: Sequence[Point], evaluation: Evaluation, say: Callable[[str], None], *, echo: bool) -> bool:
    """Evaluates every point into a folder of its own below `evaluation.output`; returns whether all succeeded."""
    complete = True
    for point in points:
        complete &= evaluate(at(point, evaluation), say, echo=echo)
    return complete


def at(point: Point, evaluation: Evaluation) -> Evaluation:
    """The evaluation of one point, with a folder of its own."""
    return dataclasses.replace(evaluation, model_args=point.model_args, output=evaluation.output / point.name)
