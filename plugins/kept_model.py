"""The model of the evaluation before, for one with the same arguments in the same process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Model = TypeVar("Model")

_kept: dict[str, Any] | None = None
"""The one model that is kept, by its arguments; None where every evaluation makes its own."""


def keep_models() -> None:
    """Has models kept from now on, one at a time.

    For a process in which nothing that the arguments do not name (weights, data, variables) changes between them.
    """
    global _kept
    _kept = {}


def kept_or_made(kind: type[Model], arguments: Mapping[str, Any], make: Callable[[], Model]) -> tuple[Model, bool]:
    """The model of these arguments, and whether it was there already; another one is let go before it is made."""
    if _kept is None:
        return make(), False
    key = repr((kind, sorted(arguments.items())))
    known = key in _kept
    if not known:
        _kept.clear()
        _kept[key] = make()
    return _kept[key], known
