"""Settings as frozen dataclasses that check themselves, and the way from `key=value` arguments to them.

A settings class derives from `Settings` and declares its fields with `setting(...)`. One table of arguments (the
harness's `--model_args`, say) may be shared by several classes: `from_arguments` deals every argument to the class
that declares it and refuses what none of them knows.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from lmms_manu.errors import SettingError, nearest, one_of

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_NOTHING = frozenset({"none", "null", ""})

Effect = Literal["answers", "rounding", "nothing"]


def setting(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    secret: bool = False,
    effect: Effect = "answers",
) -> Any:
    """A field of a `Settings` class; one that allows a few values only has them as its `Literal`.

    Args:
        default: the value when the user gives none.
        help: one sentence for the README's table and the command line.
        minimum: the smallest number allowed, None for any.
        maximum: the largest number allowed, None for any.
        secret: keeps the value out of the representation, and so out of logs.
        effect: what the value changes: the model's `answers`, at most their last digits (`rounding`: how the work is
            cut up), or `nothing` of them (where a file goes). A report tells runs apart by the first kind alone, and
            a finished edit is found again whatever the last kind says.
    """
    metadata = {"help": help, "minimum": minimum, "maximum": maximum, "effect": effect}
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of every settings class: converts and checks each field when made.

    Raises:
        SettingError: a value has another type than its field, or lies outside what the field allows.
    """

    def __post_init__(self) -> None:
        hints = _hints(type(self))  # type: ignore[arg-type]  # mypy takes the instances' __hash__ for the class's
        for field in dataclasses.fields(self):
            value = _convert(field.name, getattr(self, field.name), hints[field.name])
            _check(field, choices_of(type(self), field.name), value)
            object.__setattr__(self, field.name, value)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in dataclasses.fields(cls))

    @classmethod
    def names_with(cls, *effects: Effect) -> tuple[str, ...]:
        """The fields whose values have one of these effects."""
        return tuple(field.name for field in dataclasses.fields(cls) if field.metadata.get("effect") in effects)

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


S = TypeVar("S", bound=Settings)


def from_arguments(arguments: Mapping[str, Any], *classes: type[Settings]) -> tuple[Any, ...]:
    """Deals `arguments` to the settings `classes` that declare them.

    Args:
        arguments: names and values; a value may be text as typed on a command line.
        classes: the settings classes, no two with a field of the same name.

    Returns:
        One instance of each class, in the order given.

    Raises:
        SettingError: an argument that no class declares, or a value that its class refuses.
        ValueError: two classes declare a field of the same name.
    """
    known = [name for settings in classes for name in settings.names()]
    if twice := {name for name in known if known.count(name) > 1}:
        places = ", ".join(settings.__name__ for settings in classes if twice & {*settings.names()})
        raise ValueError(f"{', '.join(sorted(twice))} would be an argument of more than one of {places}.")
    # Typed text may have blanks around its names and values.
    arguments = {name.strip(): value.strip() if isinstance(value, str) else value for name, value in arguments.items()}
    for name, value in arguments.items():
        if name not in known:
            raise SettingError(
                f"{name}={value!r}: there is no argument {name!r}.{nearest(name, known)} "
                f"The arguments are {', '.join(sorted(known))}."
            )
    return tuple(
        settings(**{name: arguments[name] for name in settings.names() if name in arguments}) for settings in classes
    )


def parse_arguments(text: str) -> dict[str, str]:
    """`"a=1,b=x"` as `{"a": "1", "b": "x"}`, the form that the harness's `--model_args` has.

    Raises:
        SettingError: a part has no `=`.
    """
    arguments: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, value = part.partition("=")
        if not separator:
            raise SettingError(f"{part!r} is not of the form name=value (in {text!r}).")
        arguments[name.strip()] = value.strip()
    return arguments


def markdown_table(*classes: type[Settings]) -> str:
    """The settings of `classes` as a Markdown table: argument, default, meaning."""
    rows = ["| argument | default | meaning |", "|---|---|---|"]
    for settings in classes:
        for field in dataclasses.fields(settings):
            meaning = field.metadata["help"]
            if choices := choices_of(settings, field.name):
                meaning += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
            meaning = meaning.replace("|", r"\|")
            default = "" if field.default is None else f"`{field.default}`"
            rows.append(f"| `{field.name}` | {default} | {meaning} |")
    return "\n".join(rows)


@functools.cache
def _hints(settings: type[Settings]) -> dict[str, Any]:
    return typing.get_type_hints(settings)


def _convert(name: str, value: Any, hint: Any) -> Any:
    """`value` as the type that the annotation `hint` asks for."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        alternatives = typing.get_args(hint)
        if type(None) in alternatives and (value is None or str(value).strip().lower() in _NOTHING):
            return None
        for alternative in alternatives:
            if alternative is not type(None):
                try:
                    return _convert(name, value, alternative)
                except SettingError:
                    continue
        raise _wrong_type(name, value, hint)
    if typing.get_origin(hint) is Literal:
        return next((option for option in typing.get_args(hint) if str(option) == str(value).strip()), value)
    if hint is bool:
        word = str(value).strip().lower()
        if word in _TRUE | _FALSE:
            return word in _TRUE
        raise SettingError(f"{name}={value!r} is not a truth value: use True or False.")
    if hint in (int, float):
        try:
            number = float(value)
            if hint is float:
                return number
            if number.is_integer():
                return int(number)
        except (TypeError, ValueError, OverflowError):
            pass
        raise _wrong_type(name, value, hint)
    if hint is str:
        if value is None:
            raise _wrong_type(name, value, hint)
        return str(value)
    return value


def choices_of(settings: type[Settings], name: str) -> tuple[object, ...] | None:
    """The values that a field allows, which are those of its `Literal`; None for any."""
    hint = _hints(settings)[name]  # type: ignore[arg-type]  # mypy takes the instances' __hash__ for the class's
    alternatives = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    literals = [alternative for alternative in alternatives if typing.get_origin(alternative) is Literal]
    return tuple(value for literal in literals for value in typing.get_args(literal)) or None


def _check(field: dataclasses.Field[Any], choices: tuple[object, ...] | None, value: Any) -> None:
    minimum, maximum = (field.metadata.get(key) for key in ("minimum", "maximum"))
    if value is None:
        return
    if choices is not None and value not in choices:
        raise one_of(field.name, value, choices)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return
    # Written so that NaN, which compares false to everything, is refused as well.
    if (minimum is not None and not value >= minimum) or (maximum is not None and not value <= maximum):
        raise SettingError(f"{field.name}={value!r} is out of range: allowed is {_range(minimum, maximum)}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingError(f"{field.name}={value!r} is not allowed: use a finite number.")


def _range(minimum: float | None, maximum: float | None) -> str:
    if minimum is None:
        return f"at most {maximum}"
    return f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}"


def _wrong_type(name: str, value: Any, hint: Any) -> SettingError:
    wanted = hint.__name__ if isinstance(hint, type) else str(hint)
    words = {"int": "a whole number", "float": "a number", "str": "text"}
    return SettingError(f"{name}={value!r} is not {words.get(wanted, wanted)}.")
