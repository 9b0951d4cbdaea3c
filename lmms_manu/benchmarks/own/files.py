"""Which files hold the user's own people: named by the model's arguments, in a call, or by the environment."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from lmms_manu import variables
from lmms_manu.benchmarks.own.names import SETS
from lmms_manu.errors import DataError, one_of
from lmms_manu.sources import expanded


@dataclasses.dataclass(frozen=True)
class Files:
    """The tables of a user's people.

    Args:
        forget, retain, test, control: the file, folder or hub name of each set's table; None for a set without one.
        columns: what the tables call the columns, such as `subject:name;answer:text`.
        images: the folder that relative paths of pictures start at; that of their table if None.
    """

    forget: str | None = None
    retain: str | None = None
    test: str | None = None
    control: str | None = None
    columns: str | None = None
    images: str | None = None

    @classmethod
    def of(cls, settings: Any, dataset: str | None = None) -> Files:
        """What `dataset` says, else the arguments, else `current`.

        Raises:
            DataError: none of them names a file.
        """
        if dataset is not None:
            return cls.parse(dataset)
        named = cls.of_arguments(settings)
        return named if named.named() else current()

    @classmethod
    def of_arguments(cls, settings: Any) -> Files:
        """What the arguments say; nothing of settings that have no such arguments."""
        return Files(**{name: getattr(settings, name, None) for name in _FIELDS})

    @classmethod
    def parse(cls, text: str) -> Files:
        """Reads `forget=people.jsonl,retain=others.jsonl`; one name alone is that of the forget set.

        Raises:
            DataError: it names another thing than the fields of this class.
        """
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if len(parts) == 1 and parts[0].partition("=")[0] not in _FIELDS:
            return cls(forget=parts[0])
        values: dict[str, str] = {}
        for part in parts:
            name, separator, value = part.partition("=")
            if not separator or name.strip() not in _FIELDS:
                raise DataError(str(one_of(f"name in {text!r}", name, _FIELDS)))
            values[name.strip()] = value.strip()
        return cls(**values)

    def named(self) -> dict[str, str]:
        """The tables by set, of the sets that have one."""
        return {name: path for name in SETS if (path := getattr(self, name))}

    def __str__(self) -> str:
        """Itself as `parse` reads it in any folder: local paths are absolute."""
        shown = {name: value for name in _FIELDS if (value := getattr(self, name))}
        return ",".join(f"{name}={value if name == 'columns' else _anywhere(value)}" for name, value in shown.items())


_FIELDS = tuple(field.name for field in dataclasses.fields(Files))
_chosen: Files | None = None


def choose(files: Files | None) -> None:
    """Makes the files of the model that is evaluated next known to the tasks; None for no such model."""
    global _chosen
    _chosen = files if files is not None and files.named() else None


def current() -> Files:
    """The files that the tasks ask about: those of the evaluated model's arguments, else the environment's.

    Raises:
        DataError: none is named; it says how to name them.
    """
    if _chosen is not None:
        return _chosen
    if text := os.environ.get(variables.OWN_DATA):
        return Files.parse(text)
    raise DataError(HOW_TO_NAME.format(problem="the tables of your own people are not named", name="forget"))


HOW_TO_NAME = (
    "{problem}: name it among the model's arguments (--model_args {name}=FILE), beside the other sets, or for "
    f'any model by the variable {variables.OWN_DATA}="{{name}}=FILE".'
)


def _anywhere(value: str) -> str:
    path = Path(expanded(value))
    return str(path.resolve()) if path.exists() else value
