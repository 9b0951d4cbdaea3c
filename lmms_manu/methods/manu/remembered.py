"""Scores that were computed before, kept beside the statistics that they were computed from.

Another prune rate, another scope and the same start again then read two short files and no statistics. What scores
depend on is their key, the code that measures and scores included: whoever changes a score never gets what another one
gave.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        scores: of the recipe that needs statistics, `[neurons]`, float64; None where they are not known.
        levels: of the neurons' mean activations; None where they are not known, or nobody asks for them.
    """

    scores: Tensor | None = None
    levels: Levels | None = None


class ScoredMemory:
    """The place in the cache of one model's scores, and of its levels, which are the same for all recipes.

    Args:
        cache: the cache of the statistics; None where nothing is to be kept.
        parts: what the statistics of each part depend on.
        settings: what the scores depend on besides them.
        levels: whether the levels are asked for, too.
        checkpoint: the name of the model, for people.
    """

    def __init__(
        self,
        cache: StatisticsCache | None,
        parts: Mapping[str, Mapping[str, Any]],
        settings: ManuSettings,
        levels: bool,
        checkpoint: str,
    ) -> None:
        self._cache = cache
        self._parts = {part: key_of(determinants) for part, determinants in parts.items()}
        self._settings = settings
        self._with_levels = levels
        self._checkpoint = checkpoint

    def load(self) -> Scored:
        """What was kept before."""
        if self._cache is None:
            return Scored()
        found = self._cache.load_entry(self._key(_SCORES))
        scores = found[0][_SCORES] if found is not None else None
        levels: Levels | None = None
        if self._with_levels and (found := self._cache.load_entry(self._key(_LEVELS))) is not None:
            towers = {tower: TowerLevels(**of_tower) for tower, of_tower in found[1][_TOWERS].items()}
            levels = Levels(found[0][_LEVELS], towers)
        self._touch_parts()
        return Scored(scores, levels)

    def is_complete(self, scored: Scored) -> bool:
        """Whether all is known that was asked for."""
        return scored.scores is not None and (scored.levels is not None or not self._with_levels)

    def complete(self, known: Scored, layout: NeuronLayout, sums: Tensor) -> Scored:
        """Computes what is not `known` yet from `sums`, `[2, 2, 5, neurons]`."""
        scores, levels = known.scores, known.levels
        if scores is None:
            scores = score(layout, sums, self._settings)
        if levels is None and self._with_levels:
            levels = Levels.of(layout, sums)
        return Scored(scores, levels)

    def store(self, scored: Scored, known: Scored) -> None:
        """Keeps what was not `known` yet for the next start."""
        if known.scores is None and scored.scores is not None:
            self._store(_SCORES, scored.scores, {"part": f"scores: {self._settings.measured_recipe}"})
        if known.levels is None and scored.levels is not None:
            towers = {tower: dataclasses.asdict(levels) for tower, levels in scored.levels.towers.items()}
            self._store(_LEVELS, scored.levels.bins, {"part": "levels of activation", _TOWERS: towers})
        self._touch_parts()

    def _store(self, name: str, tensor: Tensor, about: Mapping[str, Any]) -> None:
        if self._cache is not None:
            self._cache.store_entry(self._key(name), {name: tensor}, {**about, "checkpoint": self._checkpoint})

    def _touch_parts(self) -> None:
        """Counts as a use of the statistics: they are worth more than what was made of them, and give way after it."""
        if self._cache is not None:
            for key in self._parts.values():
                self._cache.touch(key)

    def _key(self, name: str) -> dict[str, Any]:
        settings = self._settings.scoring() if name == _SCORES else {}
        return {"of": name, "parts": self._parts, "settings": settings, "code": _code()}


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
