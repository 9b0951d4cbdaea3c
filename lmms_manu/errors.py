"""The errors that a user can mend, each naming the thing, its value and the way out."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable


class ManuError(Exception):
    """Base of every error that this package raises on purpose; `exit_code` is what a command ends with."""

    exit_code = 2


class SettingError(ManuError, ValueError):
    """A setting has a value that it cannot have; raised before any model is loaded."""


class DataError(ManuError, ValueError):
    """A dataset, mask or results file cannot be used as it is."""


class NoResultsError(DataError):
    """There are no results, where they were looked for, that could be reported or judged."""

    exit_code = 3


class ModelError(ManuError, RuntimeError):
    """A checkpoint cannot be measured, edited or asked as it is."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a mistyped `name`, such as " Did you mean 'recipe'?"; empty if nothing is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def first_line(error: BaseException) -> str:
    """What an error says first, with what it announces by a colon; its kind where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    announcing = itertools.takewhile(lambda line: line.endswith(":"), lines[:-1])
    return " ".join(lines[: len(list(announcing)) + 1])


def one_of(setting: str, value: object, allowed: Iterable[object]) -> SettingError:
    """The error for a `value` that is none of the `allowed` ones."""
    options = list(allowed)
    hint = nearest(str(value), map(str, options))
    return SettingError(f"{setting}={value!r} is not allowed: choose one of {', '.join(map(str, options))}.{hint}")
