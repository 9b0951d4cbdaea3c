"""Relearning: the model is fine-tuned on a part of what it forgot, or on others, and asked about the rest."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from lmms_manu.attacks.base import Attack, InapplicableError, Target, Variant, keeping_weights
from lmms_manu.attacks.membership import new_people
from lmms_manu.attacks.outcomes import BEFORE, EDITED, GOLD, VANILLA, Measured, Outcome, recoveries
from lmms_manu.benchmarks.example import Example
from lmms_manu.methods.data import Examples, UnlearningData
from lmms_manu.models.blocks import LANGUAGE, find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.settings import from_arguments
from lmms_manu.training.objective import Terms, Weighted
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.terms import CrossEntropy
from lmms_manu.training.train import TrainingTask, train

_DEFAULTS: Mapping[str, Any] = {
    "epochs": 10.0,
    "learning_rate": 3e-4,
    "train_batch_size": 8,
    "tuning": "full",
    "resume_every": 0,
}
SETTINGS = TrainingSettings(**_DEFAULTS)
"""Full fine-tuning: what no adapter can bring back, it may."""

FORGOTTEN, RETAINED, NEW = "forgotten people", "retained people", "new people"
WEAKENED, _AND_TAUGHT = "weakened vanilla", "weakened vanilla, taught"
TOO_WEAK = "too weak to tell"

_LEFT = 0.1
"""Of what the weakened block puts out."""


class Relearning(Attack):
    """The attack `relearning`: half of the forgotten people are taught again, or as many others.

    Asked about are the forgotten people who were not taught, in each variant. Its positive control is vanilla with one
    block turned down, in which everything is still there: where relearning brings nothing of that back, what it does
    not bring back elsewhere says nothing.
    """

    name = "relearning"

    def __init__(self, settings: TrainingSettings = SETTINGS) -> None:
        self._settings = settings

    def configured(self, arguments: Mapping[str, Any]) -> Attack:
        (settings,) = from_arguments({**_DEFAULTS, **arguments}, TrainingSettings)
        return Relearning(settings)

    def settings(self) -> Mapping[str, str]:
        answering = self._settings.names_with("answers")
        return {name: str(value) for name, value in self._settings.as_dict().items() if name in answering}

    def variants(self) -> Mapping[str, Variant]:
        return {taught: self._way(taught) for taught in (FORGOTTEN, RETAINED, NEW)}

    def on_vanilla(self) -> Mapping[str, Variant]:
        return {WEAKENED: _weakened, _AND_TAUGHT: functools.partial(_weakened, then=self._way(FORGOTTEN))}

    def outcomes(self, measured: Measured) -> list[Outcome]:
        control = self._positive_control(measured)
        found = super().outcomes(measured)
        if control.is_hidden:
            return [*found, dataclasses.replace(control, verdict="it works: what was only weakened came back")]
        if any(one.is_hidden for one in found):
            return [*found, control]
        found = [
            dataclasses.replace(one, verdict=f"{one.verdict}; {TOO_WEAK}") if one.found and not one.is_hidden else one
            for one in found
        ]
        return [*found, dataclasses.replace(control, verdict=f"{TOO_WEAK}: {control.verdict}")]

    def _way(self, taught: str) -> Variant:
        return functools.partial(_taught, taught=taught, settings=self._settings)

    def _positive_control(self, measured: Measured) -> Outcome:
        """What the attack brings back of what is known to be there: in vanilla with one weakened block."""
        vanilla, gold = (dict(measured.readings.get(name, {})) for name in (VANILLA, GOLD))
        name, taught = f"{self.name}: {WEAKENED}", f"{self.name}: {_AND_TAUGHT}"
        if name not in vanilla or taught not in vanilla:
            reasons = measured.reasons.get(VANILLA, {})
            return Outcome(name, reasons.get(name) or reasons.get(taught) or "it was not tried")
        readings = {VANILLA: vanilla, EDITED: {BEFORE: vanilla[name], name: vanilla[taught]}}
        if f"{self.name}: {FORGOTTEN}" in gold:
            readings[GOLD] = {BEFORE: gold[BEFORE], name: gold[f"{self.name}: {FORGOTTEN}"]}
        (found,) = recoveries(self.name, [WEAKENED], Measured(readings, {}))
        return found


@contextlib.contextmanager
def _weakened(target: Target, *, then: Variant = contextlib.nullcontext) -> Iterator[Target]:
    """The model with the last block of its language model turned down, and what is done to that."""
    model, patterns = target.checkpoint.model, target.checkpoint.settings.mlp_blocks
    last = [block for block in find_mlp_blocks(model, patterns) if block.tower == LANGUAGE][-1]
    with keeping_weights(target.checkpoint):
        with torch.no_grad():
            model.get_parameter(last.slots[-1].parameter).mul_(_LEFT)
        with then(target) as attacked:
            yield attacked


@contextlib.contextmanager
def _taught(target: Target, *, taught: str, settings: TrainingSettings) -> Iterator[Target]:
    checkpoint, data = target.checkpoint, target.data
    people = _people(data.forget)
    if len(people) < 2:
        raise InapplicableError("it teaches some of the forgotten people and asks about the others: there is one only")
    half = people[::2]
    lessons = _lessons(target, taught, half)
    if not lessons:
        raise InapplicableError(f"it needs {taught}, and the data has none")
    rendered = UnlearningData(lessons, {}, data.settings).rendered(PromptEncoder(checkpoint))
    task = TrainingTask(
        {part.modality: examples for part, examples in rendered.items()},
        Terms(Weighted(CrossEntropy())),
        f"relearning on {taught}",
    )
    with keeping_weights(checkpoint):
        attacked = train(checkpoint, task, settings).change.apply(checkpoint)
        yield dataclasses.replace(target, checkpoint=attacked).about(_of(data.forget, set(people) - set(half)))


def _lessons(target: Target, taught: str, half: Sequence[str]) -> Examples:
    """What is taught: about half of the forgotten people, or as many others."""
    if taught == FORGOTTEN:
        return _of(target.data.forget, set(half))
    others = target.data.retain if taught == RETAINED else new_people(target)
    return _of(others, set(_people(others)[: len(half)]))


def _people(examples: Examples) -> list[str]:
    return list(dict.fromkeys(each.subject for part in examples.values() for each in part))


def _of(examples: Examples, people: set[str]) -> dict[str, list[Example]]:
    found = {modality: [each for each in part if each.subject in people] for modality, part in examples.items()}
    return {modality: part for modality, part in found.items() if part}
