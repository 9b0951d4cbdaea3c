"""A training from rendered questions and answers to the change that it leaves.

train
    tokens and trained places of every sample, the order of all batches
    adapters beside the weights, or the weights in float32
    the loop: the reference first where a loss needs one, then the model, step by step
    the change; the model as it was loaded
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lmms_manu.editing.changes import Change
from lmms_manu.errors import DataError, ModelError, SettingError
from lmms_manu.measuring.fingerprints import weights_fingerprint
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.rendered import RenderedExample, digest_of_examples
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.tower_names import LANGUAGE
from lmms_manu.training import loop, sharded
from lmms_manu.training.answers import Asker
from lmms_manu.training.examples import Batch, Examples
from lmms_manu.training.objective import LEARN, RETAIN, Objective, Terms
from lmms_manu.training.order import Turn, order, without
from lmms_manu.training.reference import Reference
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.state import own_random_state, state_folder
from lmms_manu.training.tuning import Tuning, make_tuning
from lmms_manu.versions import library_versions

Rendered = Mapping[str, Sequence[RenderedExample]]
"""Rendered by modality."""

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a training left.

    Args:
        change: what it changed.
        steps: optimiser steps.
        counts: for each part of the model how many of its weight tensors changed, and how many it has.
        curve: the losses along the way.
        exams: what the task's exam gave before the training and after it; empty where it has none.
        along: the changes that were kept along the way, by the step.
        seconds: what the stages took.
    """

    change: Change
    steps: int
    counts: Mapping[str, tuple[int, int]]
    curve: Sequence[Mapping[str, float]]
    exams: Sequence[Any] = ()
    along: Mapping[int, Change] = dataclasses.field(default_factory=dict)
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class TrainingTask:
    """What is trained, and on what.

    Args:
        learn: what to forget, or to learn.
        terms: what is minimised.
        title: for the progress bar.
        retain: what to retain; empty where no term is over it.
        layer: the module whose hidden states the terms look at; None for none.
        left_out: the labels of samples of `learn` that are not learnt; the others are learnt as if they were.
        exam: asks the model before the training and after it; None for no exam.
        reference: makes the reference where it is another model; None for the model as it was loaded.
        tuning: makes the model ready to be trained; None for what the settings say.
        masks: by the names of trained parameters which of their entries learn from `learn`, bool; all entries learn
            from `retain`, and those of other parameters from both.
        about: what else the training depends on, `masks` included.
    """

    learn: Rendered
    terms: Terms
    title: str
    retain: Rendered = dataclasses.field(default_factory=dict)
    layer: str | None = None
    exam: Callable[[Asker], Any] | None = None
    left_out: frozenset[str] = frozenset()
    reference: Callable[[Examples, Sequence[Turn]], Reference] | None = None
    tuning: Callable[[Checkpoint, TrainingSettings], Tuning] | None = None
    masks: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def train(checkpoint: Checkpoint, task: TrainingTask, settings: TrainingSettings) -> Trained:
    """Trains a checkpoint's model; afterwards it is again what was loaded.

    Every process of a torch.distributed group has to call this with the same arguments; all return the same.

    Raises:
        DataError: the samples cannot be trained on.
        ModelError: the model cannot be trained, a loss is not a number, or no weight changed.
        SettingError: a setting does not fit the model or the data.
    """
    started = time.perf_counter()
    encoder = PromptEncoder(checkpoint)
    in_shards = sharded.is_asked()
    if in_shards:
        _check_shards(task, settings)
    sets = {LEARN: _examples(checkpoint, encoder, task.learn, settings, "the samples to learn from")}
    if task.terms.retain is not None:
        sets[RETAIN] = _examples(checkpoint, encoder, task.retain, settings, "the samples to retain")
    turns = without(_turns(sets, settings), sets[LEARN].items, task.left_out)
    reference = task.reference(sets[LEARN], turns) if task.reference is not None else None
    processes = Processes.current()

    def load(turn: Turn) -> dict[str, Batch]:
        places = {LEARN: turn.learn, RETAIN: turn.retain}
        return {
            name: examples.batch(turn.modality, places[name], processes.rank, processes.world)
            for name, examples in sets.items()
        }

    with own_random_state(), state_folder(_determinants(checkpoint, task, settings)) as folder:
        torch.manual_seed(settings.seed)
        tuning = (task.tuning or make_tuning)(checkpoint, settings)
        objective: Objective | None = None
        try:
            model = sharded.twin(tuning.model) if in_shards else tuning.model
            asker = Asker(model, sharded.device_of(checkpoint) if in_shards else checkpoint.device, task.layer)
            # A text has no part in what sees pictures, and a layer's states none in the layers above it.
            touch_all = settings.trained_parts != (LANGUAGE,) or task.layer is not None
            reference = reference or Reference(model, asker, tuning.originals)
            along: dict[int, Change] = {}
            whole = Asker(tuning.model, checkpoint.device)
            exams = [task.exam(whole)] if task.exam is not None else []
            objective = Objective(model, asker, task.terms, reference, touch_all=touch_all and not in_shards)
            objective.mask_learning({tuning.trained[name]: mask for name, mask in task.masks.items()})
            begun = time.perf_counter()
            curve = loop.run(
                objective,
                tuning.trained,
                turns,
                load,
                settings,
                folder,
                half=tuning.half,
                title=task.title,
                keep=lambda step: along.update({step: tuning.change()}),
                collect=functools.partial(sharded.gather, model, tuning.trained) if in_shards else None,
            )
            seconds = {"prepare": begun - started, "train": time.perf_counter() - begun}
            if task.exam is not None:
                exams.append(task.exam(whole))
            change = tuning.change()
            counts = tuning.counts(change)
            trained = Trained(change, loop.steps_of(turns, settings), counts, curve, exams, along, seconds)
        finally:
            if objective is not None:
                objective.unmask_learning()
            tuning.restore()
    warning = divergence(curve, checkpoint.model.config.get_text_config().vocab_size)
    if warning is not None and processes.first:
        logger.warning("%s: %s", task.title, warning)
    return trained


def divergence(curve: Sequence[Mapping[str, float]], vocabulary: int) -> str | None:
    """What a curve says of a model that fell apart; None if nothing.

    Args:
        curve: the points of a training.
        vocabulary: the number of tokens, of which a model that knows nothing finds each equally likely.
    """
    first, last = curve[0], curve[-1]
    guessing = math.log(vocabulary)
    # What a method makes unlikely is to be so: it tells of damage where nothing is looked at that was to be kept.
    group, name = (RETAIN, "to retain") if f"{RETAIN}_cross_entropy" in last else (LEARN, "to learn from")
    loss = last.get(f"{group}_cross_entropy", 0.0)
    if loss > max(guessing, first.get(f"{group}_cross_entropy", 0.0)):
        return (
            f"the cross-entropy of the samples {name} is {loss:.1f} per token at the end, worse than guessing "
            f"({guessing:.1f}): the model has fallen apart there. Fewer epochs or a lower learning_rate do less."
        )
    return None


def _check_shards(task: TrainingTask, settings: TrainingSettings) -> None:
    """Refuses what cannot be trained while the weights lie in shards."""
    needs = {weighted.term.needs for weighted in (task.terms.learn, task.terms.retain) if weighted is not None}
    if settings.tuning == "full" and needs != {"nothing"} and task.reference is None:
        raise SettingError(
            f"{task.title} with tuning=full compares with the model before the training, which does not lie beside the "
            "shards of the one in training: use tuning=lora, or start it without FSDP."
        )
    if task.tuning is not None or task.masks:
        raise SettingError(
            f"{task.title} chooses single entries of the weights, which shards do not show: start it without FSDP."
        )


def _examples(
    checkpoint: Checkpoint, encoder: PromptEncoder, rendered: Rendered, settings: TrainingSettings, what: str
) -> Examples:
    chosen = {modality: part for modality, part in rendered.items() if modality in settings.trained_modalities}
    return Examples(checkpoint, encoder, chosen, str(settings.trained_tokens), what)


def _turns(sets: Mapping[str, Examples], settings: TrainingSettings) -> list[Turn]:
    """The batches of the whole training.

    Raises:
        SettingError: there are none, or fewer than `train_steps` asks for.
    """
    retain = sets[RETAIN].items if RETAIN in sets else {}
    if retain and (alone := sorted(sets[LEARN].items.keys() - retain.keys())):
        raise DataError(f"There is no {' or '.join(alone)} sample to retain beside those to forget.")
    turns = order(
        sets[LEARN].items,
        retain,
        batch_size=settings.train_batch_size,
        epochs=settings.epochs,
        seed=settings.seed,
    )
    if settings.train_steps is None:
        return turns
    settings.check_steps({modality: len(items) for modality, items in sets[LEARN].items.items()})
    return turns[: settings.train_steps * settings.gradient_accumulation]


def _determinants(checkpoint: Checkpoint, task: TrainingTask, settings: TrainingSettings) -> dict[str, Any] | None:
    """All that the state of a training depends on; None where it is not to be kept, or cannot be told."""
    if not settings.resume_every:
        return None
    try:
        weights = weights_fingerprint(checkpoint)
    except ModelError:
        return None
    sets = {LEARN: task.learn, RETAIN: task.retain}
    nothing = settings.names_with("nothing")
    return {
        "title": task.title,
        "left_out": sorted(task.left_out),
        "about": json.loads(json.dumps(dict(task.about), default=str)),
        "settings": {name: value for name, value in settings.as_dict().items() if name not in nothing},
        "samples": {
            f"{name} {modality}": digest_of_examples(part)
            for name, rendered in sets.items()
            for modality, part in rendered.items()
        },
        "weights": weights,
        "dtype": str(checkpoint.model.dtype),
        "processes": Processes.current().world,
        "versions": library_versions(),
    }
