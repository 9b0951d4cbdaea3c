"""Relearning: the model is fine-tuned on a part of what it forgot, or on others, and asked about the rest."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence

from lmms_manu.attacks.base import Attack, Target, Variant, keeping_weights
from lmms_manu.benchmarks.example import Example
from lmms_manu.errors import DataError
from lmms_manu.methods.data import UnlearningData
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.training.objective import Terms, Weighted
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.terms import CrossEntropy
from lmms_manu.training.train import TrainingTask, train

SETTINGS = TrainingSettings(epochs=3.0, learning_rate=1e-3, train_batch_size=8, tuning="full", resume_every=0)
"""Full fine-tuning: what no adapter can bring back, it may."""


class Relearning(Attack):
    """The attack `relearning`: half of the forgotten people are taught again, or as many of those to retain.

    Asked about are the forgotten people who were not taught, in both variants.
    """

    name = "relearning"

    def __init__(self, settings: TrainingSettings = SETTINGS) -> None:
        self._settings = settings

    def variants(self) -> Mapping[str, Variant]:
        return {
            taught: functools.partial(_taught, taught=taught, settings=self._settings)
            for taught in ("forgotten people", "retained people")
        }


@contextlib.contextmanager
def _taught(target: Target, *, taught: str, settings: TrainingSettings) -> Iterator[Target]:
    checkpoint, data = target.checkpoint, target.data
    people = list(dict.fromkeys(each.subject for part in data.forget.values() for each in part))
    if len(people) < 2:
        raise DataError("relearning teaches some of the forgotten people and asks about the others: there is only one.")
    half = set(people[::2])
    others = _of(data.forget, set(people) - half)
    if taught == "forgotten people":
        lessons = _of(data.forget, half)
    else:
        kept = list(dict.fromkeys(each.subject for part in data.retain.values() for each in part))
        lessons = _of(data.retain, set(kept[: len(half)]))
    if not lessons:
        raise DataError(f"relearning on {taught} needs some, and the data has none.")
    rendered = UnlearningData(lessons, {}, data.settings).rendered(PromptEncoder(checkpoint))
    task = TrainingTask(
        {part.modality: examples for part, examples in rendered.items()},
        Terms(Weighted(CrossEntropy())),
        f"relearning on {taught}",
    )
    with keeping_weights(checkpoint):
        change = train(checkpoint, task, settings).change
        attacked = change.apply(checkpoint)
        yield dataclasses.replace(target, checkpoint=attacked, data=UnlearningData(others, data.retain, data.settings))


def _of(examples: Mapping[str, Sequence[Example]], people: set[str]) -> dict[str, list[Example]]:
    found = {modality: [each for each in part if each.subject in people] for modality, part in examples.items()}
    return {modality: part for modality, part in found.items() if part}
