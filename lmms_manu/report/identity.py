"""Tells from what a run recorded which model it was: the checkpoint, and how it was edited."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.errors import DataError, SettingError
from lmms_manu.methods.base import Method
from lmms_manu.methods.record import UNEDITED, EditRecord, Value
from lmms_manu.methods.registry import SHARED, method_class
from lmms_manu.methods.settings import DEFAULT_METHOD, UnlearningSettings
from lmms_manu.names import MODELS
from lmms_manu.report.results_file import ResultsFile
from lmms_manu.settings import from_arguments

VANILLA, GOLD = "vanilla", "gold"

# Arguments that say how the work is done and leave the answers as they are.
_WORK_ONLY = frozenset(name for settings in SHARED for name in settings.names_with("rounding", "nothing")) | frozenset(
    AnsweringSettings.names()
)

# Arguments that have a field of their own, or that the record tells of.
_NAMED = frozenset({"method", "pretrained", "forget_ratio", "edit", "mask"})

# The prompt is also that of the questions.
_OF_DATA = frozenset(UnlearningSettings.names()) - {"prompt"}


@dataclasses.dataclass(frozen=True)
class Identity:
    """What was evaluated.

    Args:
        model: the harness's name of the model.
        checkpoint: the model's folder or hub name; empty for the default.
        method: `none` for a model as it is, the method that edited it, or empty for a model of the harness that
            recorded nothing.
        variant: what tells the method's runs apart, in the order of a label.
        label: a name for tables, such as `manu paper 2 %`.
        forget_ratio: the ratio whose people were to be forgotten, None where any may be evaluated.
        settings: what else was set and changes the answers, by name.
    """

    model: str
    checkpoint: str
    method: str
    variant: tuple[tuple[str, Value], ...] = ()
    label: str = ""
    forget_ratio: int | None = None
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def is_vanilla(self) -> bool:
        return self.method == UNEDITED

    @property
    def is_called_gold(self) -> bool:
        """Whether it is a checkpoint as it is whose name says that it never met the people to forget."""
        words = PurePath(self.checkpoint).name.lower().replace("-", "_").split("_")
        return self.is_vanilla and GOLD in words

    def differences(self, others: list[Identity]) -> str:
        """The settings that tell this identity from `others` of the same label, such as `seed=3`."""
        mine = self._table()
        theirs = [other._table() for other in others]
        names = dict.fromkeys([*mine, *(name for table in theirs for name in table)])
        differing = [name for name in names if any(table.get(name) != mine.get(name) for table in theirs)]
        return ", ".join(f"{name}={mine[name]}" for name in differing if mine.get(name))

    def full_label(self, others: Sequence[Identity]) -> str:
        """The label, and in brackets what tells it from `others` of the same label."""
        difference = self.differences([other for other in others if other != self])
        return f"{self.label} ({difference})" if difference else self.label

    def _table(self) -> dict[str, str]:
        ratio = "" if self.forget_ratio is None else str(self.forget_ratio)
        return {"checkpoint": self.checkpoint, "forget_ratio": ratio, "model": self.model, **dict(self.settings)}


def identify(results: ResultsFile, record: EditRecord | None) -> Identity:
    """The identity of what a results file evaluated.

    Args:
        results: the file.
        record: of the edit, None where there is none; it knows what an edit that was only named was made with.

    Raises:
        DataError: an argument of the run has a value that its method does not allow.
    """
    arguments = _of_answers(results)
    if results.model not in MODELS and record is None:
        settings = tuple(sorted((name, value) for name, value in arguments.items() if name not in _NAMED))
        label = PurePath(results.checkpoint).name or results.model
        return Identity(results.model, results.checkpoint, method="", label=label, settings=settings)
    method = _method(arguments)
    known = record or _by_arguments(results, arguments, method)
    named = _NAMED | {*known.variant}
    if not known.edited:
        named |= _OF_DATA | {*(method.config_class.names() if method else ())}
        label = VANILLA if known.method == UNEDITED else f"{VANILLA} ({known.label} changed nothing)"
    else:
        label = known.label
    settings = tuple(sorted((name, value) for name, value in arguments.items() if name not in named))
    ratio = known.forgotten.get("forget_ratio") if known.edited else None
    identity = Identity(
        model=results.model,
        checkpoint=results.checkpoint,
        method=known.method if known.edited else UNEDITED,
        variant=tuple(known.variant.items()) if known.edited else (),
        label=label,
        forget_ratio=None if ratio is None else int(ratio),
        settings=settings,
    )
    return dataclasses.replace(identity, label=GOLD) if identity.is_called_gold else identity


def same_call(results: ResultsFile) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What is equal for results of the same model with the same arguments, but for those that leave answers alone."""
    return results.model, tuple(sorted(_of_answers(results).items()))


def _of_answers(results: ResultsFile) -> dict[str, str]:
    method = _method(results.arguments)
    work = _WORK_ONLY | {*(method.config_class.names_with("rounding", "nothing") if method else ())}
    return {name: value for name, value in results.arguments.items() if name not in work}


def _method(arguments: Mapping[str, str]) -> type[Method[Any]] | None:
    """The method that a run's arguments name; None for one that is not installed here."""
    try:
        return method_class(arguments.get("method", DEFAULT_METHOD))
    except SettingError:
        return None


def _by_arguments(results: ResultsFile, arguments: Mapping[str, str], method: type[Method[Any]] | None) -> EditRecord:
    """What is known of an edit that left no record: what its arguments and their defaults say.

    Raises:
        DataError: an argument has a value that the method does not allow.
    """
    name = arguments.get("method", DEFAULT_METHOD)
    if method is None or any(arguments.get(finished) for finished in ("mask", "edit")):
        # What a finished edit was made with is not known: the arguments' defaults are not what made it.
        return EditRecord(name, results.checkpoint, change="unknown")
    own, data = (
        {field: arguments[field] for field in settings.names() if field in arguments}
        for settings in (method.config_class, UnlearningSettings)
    )
    try:
        (config,) = from_arguments(own, method.config_class)
        (people,) = from_arguments(data, UnlearningSettings)
    except SettingError as error:
        raise DataError(f"{results.path}: it was made with arguments that are not allowed: {error}") from None
    made = method(config)
    if made.changes_nothing():
        return EditRecord(UNEDITED, results.checkpoint)
    return EditRecord(
        made.name,
        results.checkpoint,
        change="unknown",
        variant=made.variant(),
        units=made.units,
        strength=made.strength,
        forgotten={"forget_ratio": people.forget_ratio} if made.needs_data() else {},
    )
