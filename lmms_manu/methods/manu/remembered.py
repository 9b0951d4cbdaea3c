"""Selections of neurons that were made before, kept beside the statistics that they were made from.

A start with the same weights, data and settings then reads one short file: no statistics, no scores. What the choice
depends on is its key, the code that measures and scores included: whoever changes a score never gets what another made.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

import lmms_manu
from lmms_manu.measuring.cache import StatisticsCache, key_of
from lmms_manu.methods.manu.config import ManuSettings

_MARKED = "marked"
_PACKAGE = Path(lmms_manu.__file__).parent
_CODE = ("editing", "measuring", "methods/manu", "models")


@dataclass(frozen=True)
class Selection:
    """The neurons that all rounds together prune, and what there is to tell of them.

    Args:
        marked: `[neurons]`, bool.
        rounds: what each round chose, as JSON can hold it.
        data: the fingerprint of each part of the data.
        activations: the distribution of each tower's mean activations before the edit, as JSON can hold it.
    """

    marked: Tensor
    rounds: Sequence[Mapping[str, Any]]
    data: Mapping[str, str]
    activations: Mapping[str, Any]


class SelectionMemory:
    """The place of one selection in the cache.

    Args:
        cache: the cache of the statistics.
        parts: what the statistics of each part depend on.
        settings: what the choice depends on besides them.
        neurons: how many there are to choose from.
        checkpoint: the name of the model, for people.
    """

    def __init__(
        self,
        cache: StatisticsCache,
        parts: Mapping[str, Mapping[str, Any]],
        settings: ManuSettings,
        neurons: int,
        checkpoint: str,
    ) -> None:
        self._cache = cache
        self._parts = parts
        self._key = {
            "parts": {name: key_of(determinants) for name, determinants in parts.items()},
            "settings": settings.choosing(),
            "neurons": neurons,
            "code": _code(),
        }
        self._told = {"part": f"choice: {settings.recipe}, {settings.prune_rate:g} %", "checkpoint": checkpoint}

    def load(self) -> Selection | None:
        """The selection that was made before; None if there was none."""
        found = self._cache.load_entry(self._key)
        if found is None:
            return None
        tensors, about = found
        # What it was made from is worth more than itself, and must not be cleaned away before it.
        for determinants in self._parts.values():
            self._cache.touch(determinants)
        # Nothing was measured now, whatever it took then.
        rounds = [{**entry, "measured_parts": 0} for entry in about["rounds"]]
        return Selection(tensors[_MARKED], rounds, about["data"], about["activations"])

    def store(self, selection: Selection) -> None:
        """Keeps a selection for the next start; where there is no place for it, the next start makes it again."""
        told = {"rounds": selection.rounds, "data": selection.data, "activations": selection.activations}
        with contextlib.suppress(OSError, SafetensorError):
            self._cache.store_entry(self._key, {_MARKED: selection.marked}, {**self._told, **told})


def code_files() -> list[Path]:
    """The files whose code a choice may depend on."""
    return sorted(path for folder in _CODE for path in (_PACKAGE / folder).rglob("*.py"))


@functools.cache
def _code() -> str:
    """Changes with the code that finds blocks, measures, scores and selects."""
    digest = hashlib.sha256()
    for path in code_files():
        digest.update(f"{path.relative_to(_PACKAGE)} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
