"""The edit: finds the neurons that matter more for the people to forget than for the others, and prunes them.

edit
    find the MLP blocks, refuse weights that cannot be edited
    for each step
        measure both sets in each modality (or read the statistics of an earlier measurement), score
        select; between two steps zero
    or: take a mask that was made before
    zero, read the zeros back, record
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.remove import check_removable, check_saveable, remove_neurons
from lmms_manu.editing.zero import check_editable, verify_zeros, zero_neurons
from lmms_manu.errors import ModelError
from lmms_manu.measuring.fingerprints import edits, note_edits, weights_fingerprint
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.measure import measure
from lmms_manu.measuring.neuron_statistics import NeuronStatistics
from lmms_manu.measuring.parts import Parts, parts_with_examples
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.methods.base import EditRecord
from lmms_manu.methods.data import UnlearningData
from lmms_manu.methods.manu.choice import check_choice, choose, neurons_by_layer, score
from lmms_manu.methods.manu.config import NAME, ManuSettings, for_modalities
from lmms_manu.methods.manu.distributions import distributions
from lmms_manu.models.blocks import MlpBlock, find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint
from lmms_manu.versions import library_versions


def edit(
    checkpoint: Checkpoint, data: UnlearningData | None, settings: ManuSettings, measuring: MeasureSettings
) -> EditRecord:
    """Edits the model in place; arguments and errors as in `Method.edit`."""
    if settings.mask is None and settings.prune_rate == 0:
        return EditRecord(NAME, checkpoint.name, prune_rate=0.0, versions=library_versions())
    blocks = find_mlp_blocks(checkpoint.model, measuring.mlp_blocks)
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
    blocks = find_mlp_blocks(checkpoint.model, measuring.mlp_blocks)
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
            modalities = {part.modality for part in parts_with_examples(parts)}
            self._settings = for_modalities(self._settings, modalities)
        first: NeuronStatistics | None = None
        rounds: list[dict[str, Any]] = []
        marked: Tensor | None = None
        for step in range(1, self._settings.steps + 1):
            statistics = self._measure(parts)
            first = first or statistics
            with self._timed("scoring"):
                scores = score(statistics, self._settings) if statistics is not None else None
                choice = choose(self._layout, scores, self._settings, step / self._settings.steps, marked)
            marked = choice.marked
            rounds.append({**choice.summary(), "measured_parts": statistics.measured if statistics is not None else 0})
            if step < self._settings.steps:
                self._prune(self._mask(marked))
        assert marked is not None  # there is at least one step
        of_data = first.about["data"] if first is not None else {}
        record = self._record(data, marked, {"rounds": rounds, "data": of_data})
        told: dict[str, Any] = {}
        if self._settings.save_mask is not None:
            details = {"layout": self._layout.as_json(), "record": record.as_dict()}
            told = {"weights": weights, "details": details}
        mask = self._mask(marked, **told)
        if first is not None:
            with self._timed("scoring"):
                drawn = distributions(first, marked)
            activations = {tower: distribution.as_json() for tower, distribution in drawn.items()}
            record = dataclasses.replace(record, details={**record.details, "activations": activations})
        return self._finish(mask, marked, record)

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
            versions=library_versions(),
            details={"made_with": made},
        )
        return self._finish(mask, marked, record)

    def _measure(self, parts: Parts | None) -> NeuronStatistics | None:
        """The statistics of the model as it is at this round."""
        if parts is None:
            return None
        with self._timed("measuring"):
            return measure(self._checkpoint, self._blocks, parts, self._measuring)

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
            versions=library_versions(),
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
