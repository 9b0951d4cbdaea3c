"""The neurons that are edited: those on the paths of the samples to forget, or what an ablation puts in their place."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lmms_manu.errors import DataError, SettingError
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.measure import determinants_of_parts, measure, measure_parts
from lmms_manu.measuring.parts import Part, Parts
from lmms_manu.measuring.settings import MeasureSettings, PassSettings
from lmms_manu.measuring.statistics import ABSOLUTE, COUNT
from lmms_manu.methods.mip_editor.config import MipEditorSettings
from lmms_manu.methods.mip_editor.search import PathRunner, Search, Target
from lmms_manu.models.blocks import LANGUAGE, VISION, MlpBlock
from lmms_manu.models.loading import Checkpoint
from lmms_manu.names import MODALITIES

_FORM = 1
"""Raised whenever the same samples would give other paths."""

_SAMPLES = {LANGUAGE: "text", VISION: "multimodal"}
"""The samples whose paths are searched in each tower."""

_TARGETS: dict[str, dict[str, Target]] = {
    "paper": {LANGUAGE: "probability", VISION: "log_probability"},
    "released": {LANGUAGE: "cross_entropy", VISION: "cross_entropy"},
}


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The neurons that are edited.

    Args:
        marked: which they are, `[neurons]`, bool.
        layout: the blocks.
        about: for the record.
    """

    marked: Tensor
    layout: NeuronLayout
    about: dict[str, Any]

    def indices(self) -> list[Tensor]:
        """The neurons of each block."""
        return [own.nonzero().flatten() for own in self.layout.split(self.marked)]


def chosen_neurons(
    checkpoint: Checkpoint, blocks: Sequence[MlpBlock], examples: Parts, settings: MipEditorSettings
) -> Chosen:
    """The neurons that the settings mean; the same in every process.

    Raises:
        DataError: there is no sample of a kind that is needed.
        ModelError: no path can be searched.
    """
    layout = NeuronLayout.of(blocks)
    votes = torch.cat([_votes(checkpoint, tower, blocks, examples, settings) for tower in layout.towers])
    marked = votes > 0
    if settings.path_neurons:
        for inside in layout.towers.values():
            # In a stable order, so that equal counts give the same neurons everywhere.
            marked[inside][votes[inside].sort(descending=True, stable=True).indices[settings.path_neurons :]] = False
    about = {
        "samples_per_path_neuron": {
            tower: round(float(votes[inside][marked[inside]].mean()), 3)
            for tower, inside in layout.towers.items()
            if marked[inside].any()
        }
    }
    if not bool(marked.any()):
        raise SettingError(f"ablation={settings.ablation}: this model has no such tower, and so no such path.")
    counts = [int(own.sum()) for own in layout.split(marked)]
    if settings.ablation == "random":
        marked = torch.cat(_drawn(layout, counts, settings.seed))
    if settings.ablation == "activation":
        marked = torch.cat(_most_active(checkpoint, blocks, examples, counts, settings))
    return Chosen(marked, layout, about)


def _votes(
    checkpoint: Checkpoint, tower: str, blocks: Sequence[MlpBlock], examples: Parts, settings: MipEditorSettings
) -> Tensor:
    """Of how many samples' paths each neuron of a tower is, `[neurons]`; of none where the tower is left out."""
    own = [block for block in blocks if block.tower == tower]
    only = {"language_path": LANGUAGE, "vision_path": VISION}.get(settings.ablation, tower)
    modality = _SAMPLES[tower]
    with_pictures = any(examples.get(Part("forget", "multimodal"), ()))
    if only != tower or (tower == VISION and not with_pictures):
        return torch.zeros(sum(block.neurons for block in own), dtype=torch.float64)
    part = Part("forget", modality)
    if not examples.get(part):
        raise DataError(f"There is no {modality} sample to forget, and so no path through the {tower} model.")
    search = search_of(tower, settings)
    # One sample at a time: its copies are the batch.
    passes = PassSettings(statistics_batch_size=1, statistics_cache=settings.statistics_cache)
    known = determinants_of_parts(checkpoint, own, examples, passes, paths=[_FORM, *dataclasses.asdict(search).items()])
    found = measure_parts(
        lambda: PathRunner(checkpoint, own, search, modality),
        examples,
        {part: known[part]},
        passes,
        name=checkpoint.name,
    )
    return found.values[part][0]


def search_of(tower: str, settings: MipEditorSettings) -> Search:
    """How the paths of a tower are searched."""
    assert settings.path_width is not None
    assert settings.points is not None
    return Search(
        target=_TARGETS[settings.recipe][tower],
        squared=tower == VISION,
        width=settings.path_width,
        points=settings.points,
        quadrature=str(settings.quadrature),
        positions=str(settings.positions),
        together=settings.candidates == "together",
        trained_tokens=str(settings.trained_tokens),
    )


def _drawn(layout: NeuronLayout, counts: Sequence[int], seed: int) -> list[Tensor]:
    """As many neurons of each block at random."""
    generator = torch.Generator().manual_seed(seed)
    marked = []
    for block, count in zip(layout.blocks, counts, strict=True):
        own = torch.zeros(block.neurons, dtype=torch.bool)
        own[torch.randperm(block.neurons, generator=generator)[:count]] = True
        marked.append(own)
    return marked


def _most_active(
    checkpoint: Checkpoint,
    blocks: Sequence[MlpBlock],
    examples: Parts,
    counts: Sequence[int],
    settings: MipEditorSettings,
) -> list[Tensor]:
    """As many neurons of each block whose mean |z| on the forget set exceeds that on the retain set the most."""
    passes = MeasureSettings(tokens="predicting", statistics_cache=settings.statistics_cache)
    found = measure(checkpoint, blocks, examples, passes, statistics=(COUNT, ABSOLUTE))
    means = {part: found(part, ABSOLUTE.name) / found(part, COUNT.name).clamp(min=1) for part in found.parts}
    excess = sum(
        means[Part("forget", modality)] - means[Part("retain", modality)]
        for modality in MODALITIES
        if Part("forget", modality) in means
    )
    assert isinstance(excess, Tensor)
    marked = []
    for own, count in zip(found.layout.split(excess), counts, strict=True):
        chosen = torch.zeros(len(own), dtype=torch.bool)
        chosen[own.sort(descending=True, stable=True).indices[:count]] = True
        marked.append(chosen)
    return marked
