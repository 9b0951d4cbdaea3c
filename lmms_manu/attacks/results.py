"""The file of an attacked model: what was read, what came of it, and whose results it lies beside; imports no torch."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from lmms_manu.attacks.outcomes import Outcome, Share
from lmms_manu.errors import DataError
from lmms_manu.files import read_versioned, write_json

FILE = "attacks.json"
SCHEMA = "lmms-manu/attacks"
VERSION = 1


@dataclasses.dataclass
class AttackResults:
    """What is known of the attacks on an edited model, added to as they are made.

    Args:
        models: the arguments of each model.
        settings: by attack, those of its own.
        readings: by model and variant, what was read.
        reasons: by model and variant, why nothing was.
        checkpoint: the weights before unlearning; empty until the edited model was loaded.
        fingerprint: of the edit.
        benchmark: whose people were to be forgotten; empty for the caller's own.
        forget_ratio: of them.
        outcomes: what came of the attacks.
    """

    models: dict[str, dict[str, str]]
    settings: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    readings: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    reasons: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    checkpoint: str = ""
    fingerprint: str | None = None
    benchmark: str = ""
    forget_ratio: int | None = None
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)

    def save(self, path: str | os.PathLike[str]) -> None:
        write_json(path, {"schema": SCHEMA, "version": VERSION, **dataclasses.asdict(self)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AttackResults:
        """Reads what `save` wrote.

        Raises:
            DataError: the file is of another kind or damaged.
        """
        try:
            content = read_versioned(path, SCHEMA, VERSION)
            return cls(**{**content, "outcomes": [_outcome(entry) for entry in content["outcomes"]]})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} cannot be read as results of attacks: {error}") from None


def _outcome(entry: Mapping[str, Any]) -> Outcome:
    shares = {name: _share(entry[name]) for name in ("found", "base", "control")}
    return Outcome(entry["attack"], entry["verdict"], dict(entry["read"]), **shares)


def _share(entry: Mapping[str, Any] | None) -> Share | None:
    if entry is None:
        return None
    bounds = entry["interval"]
    return Share(float(entry["value"]), None if bounds is None else (float(bounds[0]), float(bounds[1])))
