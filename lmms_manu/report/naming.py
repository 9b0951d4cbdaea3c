"""Names for runs: the user's, or what tells a run apart from the others."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from pathlib import Path

from lmms_manu.errors import DataError
from lmms_manu.report.identity import Identity

Key = tuple[str | None, Identity]
"""The user's name for a run, None if there is none, and what was evaluated."""


def name_and_folder(place: str) -> tuple[str | None, str]:
    """The parts of `NAME=FOLDER`; no name for a folder alone, whose own name may hold an equals sign.

    Raises:
        DataError: one of the parts is empty.
    """
    name, separator, folder = place.partition("=")
    if not separator or Path(place).exists():
        return None, place
    if not name.strip() or not folder:
        raise DataError(f"{place!r} is not of the form NAME=FOLDER.")
    return name.strip(), folder


def check_names(keys: Sequence[Key]) -> None:
    """Refuses a name that the user gave to more than one model.

    Raises:
        DataError: there is such a name.
    """
    for name in {name for name, _ in keys if name is not None}:
        identities = [identity for other, identity in keys if other == name]
        if len(identities) > 1:
            labels = "; ".join(identity.full_label(identities) for identity in identities)
            raise DataError(
                f"{name}: its folders hold results of {len(identities)} different models ({labels}). "
                "Give each its own name, or leave the names to the report."
            )


def names_of(keys: Sequence[Key]) -> dict[Key, str]:
    """The user's names, else labels, with what tells equal labels apart.

    Raises:
        DataError: two runs would have the same name.
    """
    names: dict[Key, str] = {}
    labels = collections.Counter(identity.label for name, identity in keys if name is None)
    for name, identity in keys:
        alike = [other for given, other in keys if given is None and other.label == identity.label]
        names[name, identity] = name or (identity.label if labels[identity.label] == 1 else identity.full_label(alike))
    for chosen, count in collections.Counter(names.values()).items():
        if count > 1:
            raise DataError(f"{count} runs would be called {chosen!r}: name them with NAME=FOLDER.")
    return names


def with_size(name: str, parameters: int | None) -> str:
    """A model's name with its size, where that is known: under one name may lie 7 billion parameters or a million."""
    return name if parameters is None else f"{name} ({parameters / 1e6:,.1f} million parameters)"
