"""Selections of neurons that were made before, kept beside the statistics that they were made from.

A start with the same weights, data and settings then reads one short file: no statistics, no scores. What the choice
depends on is its key, this package's own code included, so that whoever changes a score never gets what another made.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lmms_manu.measuring.cache import StatisticsCache, key_of
from lmms_manu.methods.manu.config import CHOOSING, ManuSettings

_MARKED = "marked"


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
        checkpoint: the name of the model, for people.
    """

    def __init__(
        self,
        cache: StatisticsCache,
        parts: Mapping[str, Mapping[str, Any]],
        settings: ManuSettings,
        checkpoint: str,
    ) -> None:
        self._cache = cache
        self._key = {
            "parts": {name: key_of(determinants) for name, determinants in parts.items()},
            "settings": {name: getattr(settings, name) for name in CHOOSING},
            "code": _code(),
        }
        self._told = {"part": f"choice: {settings.recipe}, {settings.prune_rate:g} %", "checkpoint": checkpoint}

    def load(self) -> Selection | None:
        """The selection that was made before; None if there was none."""
        found = self._cache.load_entry(self._key)
        if found is None:
            return None
        tensors, about = found
        # Nothing was measured now, whatever it took then.
        rounds = [{**entry, "measured_parts": 0} for entry in about["rounds"]]
        return Selection(tensors[_MARKED], rounds, about["data"], about["activations"])

    def store(self, selection: Selection) -> None:
        """Keeps a selection for the next start; a cache that can only be read stays as it is."""
        told = {"rounds": selection.rounds, "data": selection.data, "activations": selection.activations}
        with contextlib.suppress(OSError):
            self._cache.store_entry(self._key, {_MARKED: selection.marked}, {**self._told, **told})


@functools.cache
def _code() -> str:
    """Changes with the code that scores and selects."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(json.dumps([path.name, path.read_text(encoding="utf-8")]).encode())
    return digest.hexdigest()
