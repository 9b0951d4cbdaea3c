"""Relearning: the model is fine-tuned on a part of what it forgot, or on others, and asked about the rest."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence

from lmms_manu.attacks.base import Attack, InapplicableError, Target, Variant, keeping_weights
from lmms_manu.attacks.membership import new_people
from lmms_manu.benchmarks.example import Example
from lmms_manu.methods.data import Examples, UnlearningData
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.training.objective import Terms, Weighted
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.terms import CrossEntropy
from lmms_manu.training.train import TrainingTask, train

SETTINGS = TrainingSettings(epochs=3.0, learning_rate=1e-3, train_batch_size=8, tuning="full", resume_every=0)
"""Full fine-tuning: what no adapter can bring back, it may."""

FORGOTTEN, RETAINED, NEW = "forgotten people", "retained people", "new people"


class Relearning(Attack):
    """The attack `relearning`: half of the forgotten people are taught again, or as many others.

    Asked about are the forgotten people who were not taught, in each variant.
    """

    name = "relearning"

    def __init__(self, settings: TrainingSettings = SETTINGS) -> None:
        self._settings = settings

    def variants(self) -> Mapping[str, Variant]:
        return {
            taught: functools.partial(_taught, taught=taught, settings=self._settings)
            for taught in (FORGOTTEN, RETAINED, NEW)
        }


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
