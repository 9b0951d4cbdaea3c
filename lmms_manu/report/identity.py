"""Tells from what a run recorded which model it was: the checkpoint, and how it was edited."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import PurePath
from typing import Any

from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.errors import DataError
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.methods.manu.config import ManuSettings
from lmms_manu.methods.settings import DEFAULT_METHOD, UnlearningSettings
from lmms_manu.names import MODELS
from lmms_manu.report.results import ResultsFile

VANILLA = "vanilla"

# Arguments that say how the work is done and leave the answers as they are.
_WORK_ONLY = frozenset(
    {
        *AnsweringSettings.names(),
        *("device", "device_map", "offload_folder"),
        *("save_mask", "statistics_batch_size", "statistics_cache"),
    }
)

# Arguments that have a field of their own.
_NAMED = frozenset({"recipe", "prune_rate", "forget_ratio", "method", "pretrained"})

# Arguments that say nothing about a model that is not edited; the prompt is also that of the questions.
_EDITING = frozenset({*ManuSettings.names(), *UnlearningSettings.names(), *MeasureSettings.names()}) - {"prompt"}


@dataclasses.dataclass(frozen=True)
class Identity:
    """What was evaluated.

    Args:
        model: the harness's name of the model.
        checkpoint: the model's folder or hub name; empty for the default.
        method: `vanilla`, the method that edited it, or empty for a model of the harness that recorded nothing.
        recipe: the method's way of scoring, None for vanilla.
        prune_rate: the share of neurons pruned, in percent.
        forget_ratio: the ratio whose people were to be forgotten, None where any may be evaluated.
        settings: what else was set and changes the answers, by name.
    """

    model: str
    checkpoint: str
    method: str
    recipe: str | None = None
    prune_rate: float | None = None
    forget_ratio: int | None = None
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def is_vanilla(self) -> bool:
        return self.method == VANILLA

    @property
    def label(self) -> str:
        """A name for tables, such as `manu paper 2 %`."""
        if self.is_vanilla:
            return VANILLA
        if not self.method:
            return PurePath(self.checkpoint).name or self.model
        rate = None if self.prune_rate is None else f"{self.prune_rate:g} %"
        return " ".join(part for part in (self.method, self.recipe, rate) if part)

    def differences(self, others: list[Identity]) -> str:
        """The settings that tell this identity from `others` of the same label, such as `seed=3`."""
        mine = self._table()
        theirs = [other._table() for other in others]
        names = dict.fromkeys([*mine, *(name for table in theirs for name in table)])
        differing = [name for name in names if any(table.get(name) != mine.get(name) for table in theirs)]
        return ", ".join(f"{name}={mine[name]}" for name in differing if mine.get(name))

    def _table(self) -> dict[str, str]:
        ratio = "" if self.forget_ratio is None else str(self.forget_ratio)
        return {"checkpoint": self.checkpoint, "forget_ratio": ratio, "model": self.model, **dict(self.settings)}


def identify(results: ResultsFile, edit: Mapping[str, Any]) -> Identity:
    """The identity of what a results file evaluated.

    Args:
        results: the file.
        edit: the edit's record, empty where there is none; it knows what a mask that was only named was made with.

    Raises:
        DataError: a number that belongs to it is none.
    """
    arguments = _of_answers(results)
    settings = tuple(sorted((name, value) for name, value in arguments.items() if name not in _NAMED))
    if results.model not in MODELS and not edit:
        return Identity(results.model, results.checkpoint, method="", settings=settings)
    told = _told(arguments, edit)
    rate = _number(results, "prune_rate", told["prune_rate"])
    if rate == 0:
        kept = tuple((name, value) for name, value in settings if name not in _EDITING)
        return Identity(results.model, results.checkpoint, VANILLA, settings=kept)
    ratio = _number(results, "forget_ratio", told["forget_ratio"])
    return Identity(
        model=results.model,
        checkpoint=results.checkpoint,
        method=str(told["method"] or DEFAULT_METHOD),
        recipe=str(told["recipe"]) if told["recipe"] else None,
        prune_rate=rate,
        forget_ratio=None if ratio is None else int(ratio),
        settings=settings,
    )


def same_call(results: ResultsFile) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What is equal for results of the same model with the same arguments, but for those that leave answers alone."""
    return results.model, tuple(sorted(_of_answers(results).items()))


def _of_answers(results: ResultsFile) -> dict[str, str]:
    return {name: value for name, value in results.arguments.items() if name not in _WORK_ONLY}


def _told(arguments: Mapping[str, str], edit: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the edit: by its record, else by the arguments, else by their defaults."""
    names = ("method", "recipe", "prune_rate", "forget_ratio")
    if edit:
        return {name: edit.get(name) for name in names}
    if arguments.get("mask"):
        # What the mask was made with is not known: the arguments' defaults are not what made it.
        return dict.fromkeys(names)
    defaults = {field.name: field.default for field in (*fields(ManuSettings), *fields(UnlearningSettings))}
    return {name: arguments.get(name, defaults[name]) for name in names}


def _number(results: ResultsFile, name: str, value: Any) -> float | None:
    if value in (None, "", "None"):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{results.path}: it was made with {name}={value!r}, which is not a number.")
    return number
