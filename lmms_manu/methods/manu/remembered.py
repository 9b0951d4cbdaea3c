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

_SCORES, _BINS, _TOWERS = "scores", "bins", "towers"
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

    @classmethod
    def of(cls, layout: NeuronLayout, sums: Tensor, settings: ManuSettings) -> Scored:
        """What `sums`, `[2, 2, 5, neurons]`, say."""
        return cls(score(layout, sums, settings), Levels.of(layout, sums))


class ScoredMemory:
    """The place of one model's scores in the cache.

    Args:
        cache: the cache of the statistics.
        parts: what the statistics of each part depend on.
        settings: what the scores depend on besides them.
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
        self._parts = parts
        self._key = {
            "parts": {name: key_of(determinants) for name, determinants in parts.items()},
            "settings": settings.scoring(),
            "code": _code(),
        }
        self._told = {"part": f"scores: {settings.measured_recipe}", "checkpoint": checkpoint}

    def load(self) -> Scored | None:
        """What was kept before; None if nothing was."""
        found = self._cache.load_entry(self._key)
        if found is None:
            return None
        tensors, about = found
        # What they were computed from is worth more than they are, and must not be cleaned away before them.
        for determinants in self._parts.values():
            self._cache.touch(determinants)
        towers = {tower: TowerLevels(**levels) for tower, levels in about[_TOWERS].items()}
        return Scored(tensors[_SCORES], Levels(tensors[_BINS], towers))

    def store(self, scored: Scored) -> None:
        """Keeps scores for the next start; where there is no place for them, the next start computes them again."""
        tensors = {_SCORES: scored.scores, _BINS: scored.levels.bins}
        towers = {tower: dataclasses.asdict(levels) for tower, levels in scored.levels.towers.items()}
        with contextlib.suppress(OSError, SafetensorError):
            self._cache.store_entry(self._key, tensors, {**self._told, _TOWERS: towers})


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
