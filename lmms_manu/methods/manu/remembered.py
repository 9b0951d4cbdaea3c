"""Scores that were computed before, kept beside the statistics that they were computed from.

Whatever is pruned by them, another prune rate, another scope or the same start again, then reads one short file and no
statistics. What the scores depend on is their key, the code that measures and scores included: whoever changes a score
never gets what another one gave.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

import lmms_manu
from lmms_manu.measuring.cache import StatisticsCache, key_of
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.methods.manu.choice import score
from lmms_manu.methods.manu.config import ManuSettings
from lmms_manu.methods.manu.distributions import Levels, TowerLevels

_SCORES, _LEVELS, _TOWERS = "scores", "levels", "towers"
_PACKAGE = Path(lmms_manu.__file__).parent
_CODE = ("editing", "measuring", "methods/manu", "models")


@dataclass(frozen=True)
class Scored:
    """What a model's statistics say, whatever is pruned by them.

    Args:
        scores: of the recipe that needs statistics, `[neurons]`, float64.
        levels: of the neurons' mean activations.
    """

    scores: Tensor
    levels: Levels


class ScoredMemory:
    """The place in the cache of one model's scores, and of its levels, which are the same for all recipes.

    Args:
        cache: the cache of the statistics; None where nothing is to be kept.
        parts: what the statistics of each part depend on.
        settings: what the scores depend on besides them.
        checkpoint: the name of the model, for people.
    """

    def __init__(
        self,
        cache: StatisticsCache | None,
        parts: Mapping[str, Mapping[str, Any]],
        settings: ManuSettings,
        checkpoint: str,
    ) -> None:
        self._cache = cache
        self._parts = parts
        self._settings = settings
        self._checkpoint = checkpoint
        self._scores: Tensor | None = None
        self._levels: Levels | None = None
        self._unkept: list[tuple[str, Tensor, Mapping[str, Any]]] = []

    def load(self) -> Scored | None:
        """What was kept before; None unless all of it was."""
        if self._cache is None:
            return None
        if (found := self._cache.load_entry(self._key(_SCORES))) is not None:
            self._scores = found[0][_SCORES]
        if (found := self._cache.load_entry(self._key(_LEVELS))) is not None:
            towers = {tower: TowerLevels(**levels) for tower, levels in found[1][_TOWERS].items()}
            self._levels = Levels(found[0][_LEVELS], towers)
        if self._scores is None or self._levels is None:
            return None
        # What they were computed from is worth more than they are, and must not be cleaned away before them.
        for determinants in self._parts.values():
            self._cache.touch(determinants)
        return Scored(self._scores, self._levels)

    def compute(self, layout: NeuronLayout, sums: Tensor) -> Scored:
        """Computes what was not kept from `sums`, `[2, 2, 5, neurons]`."""
        scores, levels = self._scores, self._levels
        if scores is None:
            scores = score(layout, sums, self._settings)
            self._unkept.append((_SCORES, scores, {"part": f"scores: {self._settings.measured_recipe}"}))
        if levels is None:
            levels = Levels.of(layout, sums)
            towers = {tower: dataclasses.asdict(own) for tower, own in levels.towers.items()}
            self._unkept.append((_LEVELS, levels.bins, {"part": "levels", _TOWERS: towers}))
        return Scored(scores, levels)

    def store(self) -> None:
        """Keeps what was computed for the next start; where there is no place, the next start computes it again."""
        if self._cache is None:
            return
        with contextlib.suppress(OSError, SafetensorError):
            for name, tensor, told in self._unkept:
                self._cache.store_entry(self._key(name), {name: tensor}, {**told, "checkpoint": self._checkpoint})

    def _key(self, name: str) -> dict[str, Any]:
        parts = {part: key_of(determinants) for part, determinants in self._parts.items()}
        settings = self._settings.scoring() if name == _SCORES else {}
        return {"of": name, "parts": parts, "settings": settings, "code": _code()}


def code_files() -> list[Path]:
    """The files whose code scores may depend on."""
    return sorted(path for folder in _CODE for path in (_PACKAGE / folder).rglob("*.py"))


@functools.cache
def _code() -> str:
    """Changes with the code that finds blocks, measures, scores, and prunes between rounds."""
    digest = hashlib.sha256()
    for path in code_files():
        digest.update(f"{path.relative_to(_PACKAGE)} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
