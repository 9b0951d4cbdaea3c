"""The edit: the neurons, then their pruning or a misdirection through them.

edit
    the neurons on the paths of the samples to forget, or what an ablation puts in their place
    no_edit: they are pruned, and that is all
    else: they are silenced, and their weights are trained until a layer's states on the forget set are elsewhere
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lmms_manu.editing.changes import PrunedNeurons
from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import check_editable
from lmms_manu.errors import DataError, ModelError
from lmms_manu.measuring.parts import Parts, parts_with_examples
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.methods.base import Edit
from lmms_manu.methods.control import retained_people_as_forgotten
from lmms_manu.methods.mip_editor.config import NAME, MipEditorSettings
from lmms_manu.methods.mip_editor.paths import Chosen, chosen_neurons
from lmms_manu.models.blocks import LANGUAGE, MlpBlock
from lmms_manu.models.loading import Checkpoint
from lmms_manu.training.chosen_neurons import ChosenNeurons, NeuronChoice
from lmms_manu.training.objective import Terms, Weighted
from lmms_manu.training.terms import CrossEntropy, Hold, Misdirect, Steer, Term
from lmms_manu.training.train import TrainingTask, divergence, train
from lmms_manu.training.trained_weights import language_layers

Rendered = Mapping[str, Sequence[RenderedExample]]


def check_model(checkpoint: Checkpoint, settings: MipEditorSettings) -> tuple[MlpBlock, ...]:
    """The blocks of a model that can be edited.

    Raises:
        ModelError: it cannot.
        SettingError: it has no such layer.
    """
    if getattr(checkpoint.model.config, "is_encoder_decoder", False):
        raise ModelError(f"{checkpoint.name} has an encoder and a decoder: only decoders can be edited along paths.")
    blocks = checkpoint.mlp_blocks
    check_editable(checkpoint.model, blocks)
    settings.layer(len(language_layers(checkpoint.model)))
    return blocks


def edit(checkpoint: Checkpoint, examples: Parts, settings: MipEditorSettings) -> Edit:
    """Finds the change; arguments and errors as in `Method.edit`."""
    blocks = check_model(checkpoint, settings)
    parts_with_examples(examples)
    if settings.random_control:
        examples = retained_people_as_forgotten(examples, settings.seed)
    started = time.perf_counter()
    chosen = chosen_neurons(checkpoint, blocks, examples, settings) if settings.finds_paths else None
    seconds = {"paths": time.perf_counter() - started}
    counts, details = _told(chosen)
    if not settings.edits:
        assert chosen is not None
        mask = NeuronMask.of_blocks(blocks, chosen.indices())
        return Edit(PrunedNeurons(mask), counts, seconds=seconds, details=details)
    task = _task(checkpoint, blocks, examples, settings, chosen)
    sizes = [sum(len(own) for part, own in examples.items() if part.set == group) for group in ("forget", "retain")]
    trained = train(checkpoint, task, settings.training(*sizes))
    learnt = ["retain" if settings.ablation == "no_misdirection" else "forget"]
    details |= {"steps": trained.steps, "learnt": learnt, "curve": list(trained.curve)}
    diverged = divergence(trained.curve, checkpoint.model.config.get_text_config().vocab_size)
    if diverged is not None:
        details["diverged"] = diverged
    return Edit(
        trained.change,
        counts or trained.counts,
        unit="neurons" if counts else "weight tensors",
        seconds={**seconds, **trained.seconds},
        details=details,
    )


def _told(chosen: Chosen | None) -> tuple[dict[str, tuple[int, int]], dict[str, Any]]:
    """Counts and details for the record."""
    if chosen is None:
        return {}, {}
    return chosen.layout.per_tower(chosen.marked), {**chosen.about, "layers": chosen.layout.per_layer(chosen.marked)}


def _task(
    checkpoint: Checkpoint,
    blocks: Sequence[MlpBlock],
    examples: Parts,
    settings: MipEditorSettings,
    chosen: Chosen | None,
) -> TrainingTask:
    """What is trained, and on what."""
    layers = language_layers(checkpoint.model)
    place = settings.layer(len(layers))
    forget, retain = (_of(examples, group) for group in ("forget", "retain"))
    if not retain:
        raise DataError("There is no sample to retain.")
    about: dict[str, Any] = {"method": settings.as_dict()}
    task = TrainingTask(forget, terms(checkpoint, settings), NAME, retain, layers[place], about=about)
    if settings.ablation == "no_misdirection":
        task = TrainingTask(retain, Terms(Weighted(CrossEntropy())), NAME, about=about)
    if chosen is None:
        return task
    about["neurons"] = hashlib.sha256(chosen.marked.numpy().tobytes()).hexdigest()
    # Nothing behind the steered layer has a part in its states.
    reached = [task.layer is None or block.tower != LANGUAGE or block.layer <= place for block in blocks]
    choice = NeuronChoice(
        blocks,
        chosen.indices(),
        reached,
        inputs_only=settings.trained == "inputs",
        silent=settings.pruning == "before",
    )
    return dataclasses.replace(task, tuning=functools.partial(ChosenNeurons, choice=choice))


def terms(checkpoint: Checkpoint, settings: MipEditorSettings) -> Terms:
    """Misdirection on what is to be forgotten, and the states of the model as it was on the rest."""
    assert settings.steering is not None
    direction = _direction(checkpoint.model.config.get_text_config().hidden_size, settings)
    misdirection: Term = Misdirect(direction, settings.steering)
    if settings.recipe == "released":
        misdirection = Steer(settings.steering * direction)
    retain = Weighted(Hold(), settings.retain_weight) if settings.retain_weight else None
    return Terms(Weighted(misdirection), retain)


def _direction(features: int, settings: MipEditorSettings) -> Tensor:
    """A random direction: uniform on the sphere, or, as released, of numbers between 0 and 1. `[features]`."""
    generator = torch.Generator().manual_seed(settings.seed)
    released = settings.recipe == "released"
    drawn = torch.rand(features, generator=generator) if released else torch.randn(features, generator=generator)
    direction: Tensor = drawn / drawn.norm()
    return direction


def _of(examples: Parts, group: str) -> Rendered:
    return {part.modality: own for part, own in examples.items() if part.set == group and own}
