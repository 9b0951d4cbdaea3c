"""The edit: finds the neurons that matter more for the people to forget than for the others, and prunes them.

edit
    find the MLP blocks, refuse weights that cannot be edited
    for each step
        read the scores of an earlier start
        else measure both sets in both modalities (or read the statistics of an earlier measurement), score
        select; between two steps zero
    or: take a mask that was made before
    zero, read the zeros back, record
"""

from __future__ import annotations

import dataclasses
import functools
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch import Tensor

from lmms_manu._version import __version__
from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.remove import check_removable, check_saveable, remove_neurons
from lmms_manu.editing.zero import check_editable, verify_zeros, zero_neurons
from lmms_manu.errors import ModelError
from lmms_manu.measuring.cache import StatisticsCache
from lmms_manu.measuring.fingerprints import edits, note_edits, weights_fingerprint
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.measure import Parts, determinants_of_parts, measure
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.methods.base import EditRecord
from lmms_manu.methods.data import UnlearningData
from lmms_manu.methods.manu.choice import check_choice, choose, neurons_by_layer
from lmms_manu.methods.manu.config import NAME, ManuSettings
from lmms_manu.methods.manu.remembered import Scored, ScoredMemory
from lmms_manu.models.blocks import MlpBlock, find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint


@dataclass(frozen=True)
class _Round:
    """What one round knows of the neurons.

    Args:
        scored: their scores, in the first round also their levels; neither where the recipe needs no statistics.
        data: the fingerprint of each part of the data.
        measured: how many parts were measured for it now.
        keep: keeps what was computed for it now, for the next start.
    """

    scored: Scored = field(default_factory=Scored)
    data: Mapping[str, str] = field(default_factory=dict)
    measured: int = 0
    keep: Callable[[], None] | None = None


def edit(
    checkpoint: Checkpoint, data: UnlearningData | None, settings: ManuSettings, measuring: MeasureSettings
) -> EditRecord:
    """Edits the model in place; arguments and errors as in `Method.edit`."""
    if settings.mask is None and settings.prune_rate == 0:
        return EditRecord(NAME, checkpoint.name, prune_rate=0.0, versions=versions())
    blocks = find_mlp_blocks(checkpoint.model, checkpoint.settings.mlp_blocks)
    check_editable(checkpoint.model, blocks)
    if settings.prune_mode == "remove":
        check_removable(checkpoint.model, blocks)
    editing = Editing(checkpoint, blocks, settings, measuring)
    return editing.apply_mask(settings.mask) if settings.mask is not None else editing.find_and_prune(data)


def check_saveable_by_layer(checkpoint: Checkpoint, settings: ManuSettings, measuring: MeasureSettings) -> None:
    """Raises where a model with neurons of each layer removed could not be saved; before anything is measured.

    Of layers with several blocks nothing is said: how many neurons each of them loses is known only afterwards.

    Raises:
        ModelError: as `check_saveable`.
        SettingError: as `check_choice`.
    """
    blocks = find_mlp_blocks(checkpoint.model, checkpoint.settings.mlp_blocks)
    layout = NeuronLayout.of(blocks)
    pruned = neurons_by_layer(layout, settings)
    if all(len(members) == 1 for members in layout.layers.values()):
        names = {place: blocks[number].name for place, (number,) in layout.layers.items()}
        check_saveable(checkpoint.model, blocks, {names[place]: count for place, count in pruned.items()})


class Editing:
    """One edit of one model.

    Args:
        checkpoint: the model.
        blocks: its MLP blocks.
        settings: what to prune.
        measuring: how to measure.
    """

    def __init__(
        self, checkpoint: Checkpoint, blocks: tuple[MlpBlock, ...], settings: ManuSettings, measuring: MeasureSettings
    ) -> None:
        self._checkpoint = checkpoint
        self._blocks = blocks
        self._settings = settings
        self._measuring = measuring
        self._layout = NeuronLayout.of(blocks)
        # A round's mask holds those of the rounds before it.
        self._before = edits(checkpoint.model)
        self._seconds = {"measuring": 0.0, "scoring": 0.0, "pruning": 0.0}

    def find_and_prune(self, data: UnlearningData | None) -> EditRecord:
        """Measures, scores and prunes, in as many rounds as the setting `steps` says."""
        check_choice(self._layout, self._settings)
        # Of the weights as they are now; only a mask that is kept has to tell it.
        weights = self._weights() if self._settings.save_mask is not None else ""
        parts: Parts | None = None
        if data is not None:
            with self._timed("measuring"):
                parts = data.passages(PromptEncoder(self._checkpoint))
        rounds: list[_Round] = []
        summaries: list[dict[str, Any]] = []
        marked: Tensor | None = None
        for step in range(1, self._settings.steps + 1):
            rounds.append(self._score(parts, levels=step == 1))
            with self._timed("scoring"):
                scores = rounds[-1].scored.scores
                choice = choose(self._layout, scores, self._settings, step / self._settings.steps, marked)
            marked = choice.marked
            summaries.append({**choice.summary(), "measured_parts": rounds[-1].measured})
            if step < self._settings.steps:
                self._prune(self._mask(marked))
        assert marked is not None  # there is at least one step
        record = self._record(data, marked, {"rounds": summaries, "data": rounds[0].data})
        told: dict[str, Any] = {}
        if self._settings.save_mask is not None:
            details = {"layout": self._layout.as_json(), "record": record.as_dict()}
            told = {"weights": weights, "details": details}
        mask = self._mask(marked, **told)
        if (levels := rounds[0].scored.levels) is not None:
            with self._timed("scoring"):
                drawn = levels.distributions(self._layout, marked)
            activations = {tower: distribution.as_json() for tower, distribution in drawn.items()}
            record = dataclasses.replace(record, details={**record.details, "activations": activations})
        record = self._finish(mask, marked, record)
        # Only now: what the processes do not agree about is an error, and must not be taken for known the next time.
        for own in rounds:
            if own.keep is not None and Processes.current().first:
                own.keep()
        return record

    def apply_mask(self, source: str) -> EditRecord:
        """Prunes the neurons of a mask that was made before."""
        with self._timed("scoring"):
            mask = NeuronMask.load(source)
            mask.check_fits(self._blocks, self._weights())
        marked = self._layout.mark(mask.indices)
        made = mask.details.get("record", {})
        record = EditRecord(
            method=made.get("method", NAME),
            checkpoint=self._checkpoint.name,
            recipe=made.get("recipe"),
            prune_rate=made.get("prune_rate", 100 * mask.count / max(mask.total, 1)),
            forget_ratio=made.get("forget_ratio"),
            pruned=self._layout.per_tower(marked),
            settings={
                **self._checkpoint.settings.as_dict(),
                "mask": source,
                "prune_mode": self._settings.prune_mode,
            },
            versions=versions(),
            details={"made_with": made},
        )
        return self._finish(mask, marked, record)

    def _score(self, parts: Parts | None, *, levels: bool) -> _Round:
        """Scores the model as it is now: by what an earlier start has left, else by its statistics."""
        if parts is None:
            return _Round()
        processes = Processes.current()
        with self._timed("measuring"):
            determinants = determinants_of_parts(self._checkpoint, self._blocks, parts, self._measuring)
        data = {name: of_part["data"] for name, of_part in determinants.items()}
        cache = StatisticsCache.default() if self._measuring.statistics_cache else None
        memory = ScoredMemory(cache, determinants, self._settings, levels, self._checkpoint.name)
        with self._timed("scoring"):
            known = processes.from_first(memory.load() if processes.first else None)
        if memory.is_complete(known):
            return _Round(known, data)
        with self._timed("measuring"):
            statistics = measure(self._checkpoint, self._blocks, parts, self._measuring, determinants=determinants)
        with self._timed("scoring"):
            scored = memory.complete(known, self._layout, statistics.sums)
        return _Round(scored, data, statistics.measured, functools.partial(memory.store, scored, known))

    def _record(self, data: UnlearningData | None, marked: Tensor, details: Mapping[str, Any]) -> EditRecord:
        """What there is to tell before the model is edited."""
        return EditRecord(
            method=NAME,
            checkpoint=self._checkpoint.name,
            recipe=self._settings.recipe,
            prune_rate=self._settings.prune_rate,
            forget_ratio=data.settings.forget_ratio if data is not None else None,
            pruned=self._layout.per_tower(marked),
            settings={
                **self._checkpoint.settings.as_dict(),
                **(data.settings.as_dict() if data is not None else {}),
                **{name: value for name, value in self._settings.as_dict().items() if name != "save_mask"},
                **self._measuring.as_dict(),
            },
            versions=versions(),
            details={"scope": self._settings.own_scope, **details},
        )

    def _mask(self, marked: Tensor, **told: Any) -> NeuronMask:
        indices = [part.nonzero().flatten() for part in self._layout.split(marked)]
        return NeuronMask.of_blocks(self._blocks, indices, **told)

    def _prune(self, mask: NeuronMask) -> None:
        with self._timed("pruning"):
            zero_neurons(self._checkpoint.model, self._blocks, mask)
            verify_zeros(self._checkpoint.model, self._blocks, mask)
            note_edits(self._checkpoint.model, *self._before, mask.fingerprint)

    def _finish(self, mask: NeuronMask, marked: Tensor, record: EditRecord) -> EditRecord:
        """Prunes for good, keeps the mask where that is asked for, and completes the record."""
        processes = Processes.current()
        processes.check_same(mask.fingerprint, "the neurons to prune")
        self._prune(mask)
        if self._settings.prune_mode == "remove":
            with self._timed("pruning"):
                remove_neurons(self._checkpoint.model, self._blocks, mask)
        if self._settings.save_mask is not None and processes.first:
            mask.save(self._settings.save_mask)
        return dataclasses.replace(
            record,
            mask_fingerprint=mask.fingerprint if mask.count else None,
            seconds={stage: round(seconds, 3) for stage, seconds in self._seconds.items()},
            details={**record.details, "layers": self._layout.per_layer(marked)},
        )

    def _weights(self) -> str:
        """The fingerprint of the weights, empty where it cannot be told."""
        try:
            return weights_fingerprint(self._checkpoint)
        except ModelError:
            return ""

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] += time.perf_counter() - started


def versions() -> dict[str, str]:
    """The versions of what an edit's numbers may depend on."""
    return {
        "lmms-manu": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }
