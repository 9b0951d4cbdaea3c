"""The edit: finds the neurons that matter more for the people to forget than for the others.

edit
    find the MLP blocks
    for each step
        measure both sets in each modality (or read the statistics of an earlier measurement), score
        select; between two steps zero
    or: take a mask that was made before
    PrunedNeurons
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from lmms_manu.editing.changes import PrunedNeurons
from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.remove import check_removable, check_saveable
from lmms_manu.editing.zero import check_editable, zero_neurons
from lmms_manu.errors import ModelError
from lmms_manu.measuring.fingerprints import edits, note_edits, weights_fingerprint
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.measure import measure
from lmms_manu.measuring.neuron_statistics import NeuronStatistics
from lmms_manu.measuring.parts import Parts, parts_with_examples
from lmms_manu.methods.base import Edit
from lmms_manu.methods.given_edits import MADE_WITH, of_mask
from lmms_manu.methods.manu.config import ManuSettings, for_modalities
from lmms_manu.methods.manu.distributions import distributions
from lmms_manu.methods.manu.scope import check_choice, choose, neurons_by_layer, score
from lmms_manu.models.blocks import MlpBlock
from lmms_manu.models.loading import Checkpoint


def check_model(checkpoint: Checkpoint, settings: ManuSettings, *, export: bool) -> None:
    """Raises where the neurons cannot be pruned, or the pruned model not be written; before anything is measured.

    Of layers with several blocks nothing is said of the writing: how many neurons each of them loses is known only
    afterwards.

    Raises:
        ModelError: as `check_editable`, `check_removable` and `check_saveable`.
        SettingError: as `check_choice`.
    """
    blocks = checkpoint.mlp_blocks
    check_editable(checkpoint.model, blocks)
    layout = NeuronLayout.of(blocks)
    if settings.mask is None:
        check_choice(layout, settings)
    if settings.prune_mode == "zero":
        return
    check_removable(checkpoint.model, blocks)
    if export and settings.mask is None and all(len(members) == 1 for members in layout.layers.values()):
        pruned = neurons_by_layer(layout, settings)
        names = {place: blocks[number].name for place, (number,) in layout.layers.items()}
        check_saveable(checkpoint.model, blocks, {names[place]: count for place, count in pruned.items()})


def edit(checkpoint: Checkpoint, examples: Parts | None, settings: ManuSettings) -> Edit:
    """Finds the neurons; arguments and errors as in `Method.edit`."""
    blocks = checkpoint.mlp_blocks
    if settings.mask is not None:
        return _of_mask(checkpoint, blocks, settings)
    return _Search(checkpoint, blocks, settings).run(examples)


def _of_mask(checkpoint: Checkpoint, blocks: tuple[MlpBlock, ...], settings: ManuSettings) -> Edit:
    """The edit of a mask that was made before."""
    assert settings.mask is not None
    mask = NeuronMask.load(settings.mask)
    change, made = of_mask(mask, checkpoint, settings.mask, PrunedNeurons(mask, settings.prune_mode))
    layout = NeuronLayout.of(blocks)
    marked = layout.mark(mask.indices)
    return Edit(
        change if mask.count else None,
        counts=layout.per_tower(marked),
        variant=made.variant,
        forgotten=made.forgotten,
        details={MADE_WITH: made.details[MADE_WITH], "layers": layout.per_layer(marked)},
    )


class _Search:
    """One search in one model.

    Args:
        checkpoint: the model.
        blocks: its MLP blocks.
        settings: what to prune, and how to measure.
    """

    def __init__(self, checkpoint: Checkpoint, blocks: tuple[MlpBlock, ...], settings: ManuSettings) -> None:
        self._checkpoint = checkpoint
        self._blocks = blocks
        self._settings = settings
        self._layout = NeuronLayout.of(blocks)
        # A round's mask holds those of the rounds before it.
        self._before = edits(checkpoint.model)
        self._seconds = {"measuring": 0.0, "scoring": 0.0}

    def run(self, examples: Parts | None) -> Edit:
        """Measures, scores and chooses, in as many rounds as the setting `steps` says."""
        weights = self._weights()
        details: dict[str, Any] = {"scope": self._settings.own_scope, "rounds": []}
        if examples is not None:
            modalities = {part.modality for part in parts_with_examples(examples)}
            self._settings = for_modalities(self._settings, modalities)
        marked: Tensor | None = None
        first: NeuronStatistics | None = None
        for step in range(1, self._settings.steps + 1):
            statistics = self._measure(examples)
            first = first or statistics
            with self._timed("scoring"):
                scores = score(statistics, self._settings) if statistics is not None else None
                choice = choose(self._layout, scores, self._settings, step / self._settings.steps, marked)
            marked = choice.marked
            measured = statistics.measured if statistics is not None else 0
            details["rounds"].append({**choice.summary(), "measured_parts": measured})
            if step < self._settings.steps:
                mask = self._mask(marked)
                zero_neurons(self._checkpoint.model, self._blocks, mask)
                note_edits(self._checkpoint.model, *self._before, mask.fingerprint)
        assert marked is not None  # there is at least one step
        if first is not None:
            details["data"] = first.about["data"]
            with self._timed("scoring"):
                drawn = distributions(first, marked)
            details["activations"] = {tower: distribution.as_json() for tower, distribution in drawn.items()}
        mask = self._mask(marked, weights=weights, details={"layout": self._layout.as_json()})
        change = PrunedNeurons(mask, self._settings.prune_mode) if mask.count else None
        details["layers"] = self._layout.per_layer(marked)
        return Edit(change, self._layout.per_tower(marked), seconds=self._seconds, details=details)

    def _measure(self, examples: Parts | None) -> NeuronStatistics | None:
        if examples is None:
            return None
        with self._timed("measuring"):
            return measure(self._checkpoint, self._blocks, examples, self._settings)

    def _mask(self, marked: Tensor, **told: Any) -> NeuronMask:
        indices = [part.nonzero().flatten() for part in self._layout.split(marked)]
        return NeuronMask.of_blocks(self._blocks, indices, **told)

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
