"""What an attack is: named variants, each of which turns a model and its questions into what is then asked."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import torch

from lmms_manu.attacks.outcomes import Measured, Outcome, recoveries
from lmms_manu.benchmarks.example import Example
from lmms_manu.errors import ManuError, SettingError
from lmms_manu.methods.data import UnlearningData
from lmms_manu.models.loading import Checkpoint


class InapplicableError(ManuError):
    """An attack has nothing to work on, in words; its other variants may have."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A model, and the examples by which its knowledge is read.

    Args:
        checkpoint: the model.
        data: whom it was to forget, and those to retain.
        original: loads the model before unlearning, beside this one; None where nobody knows it.
        opening: what the model's answer is made to begin with.
    """

    checkpoint: Checkpoint
    data: UnlearningData
    original: Callable[[], Checkpoint] | None = None
    opening: str = ""

    def asking(self, change: Callable[[Example], Example]) -> Target:
        """The target with each question about the people to forget changed."""
        forget = {modality: [change(each) for each in part] for modality, part in self.data.forget.items()}
        return self.about(forget)

    def about(self, forget: Mapping[str, list[Example]]) -> Target:
        """The target asked about others than those to forget."""
        return dataclasses.replace(self, data=UnlearningData(forget, self.data.retain, self.data.settings))


Variant = Callable[[Target], AbstractContextManager[Target]]
"""Gives the attacked target for as long as it is asked, and puts the model back as it was; or raises
`InapplicableError`."""


class Attack:
    """An attack: a file with a subclass of this, named in the registry."""

    name: ClassVar[str]
    """Its name in arguments and results."""

    in_full: ClassVar[bool] = False
    """Whether it needs more of each model than the answers' probabilities."""

    def variants(self) -> Mapping[str, Variant]:
        """The ways in which it is tried on every model but vanilla, by name."""
        raise NotImplementedError

    def on_vanilla(self) -> Mapping[str, Variant]:
        """What vanilla is read under, for attacks that need more of it than what it is before; in the given order."""
        return {}

    def settings(self) -> Mapping[str, str]:
        """With what settings of its own it is made; results with others are not the same."""
        return {}

    def configured(self, arguments: Mapping[str, Any]) -> Attack:
        """The attack with settings of its own.

        Raises:
            SettingError: it has none, or not these.
        """
        raise SettingError(f"settings={self.name}: the attack has no settings.")

    def outcomes(self, measured: Measured) -> list[Outcome]:
        """What came of it.

        Args:
            measured: what was read of each model, under the names of the variants.
        """
        return recoveries(self.name, list(self.variants()), measured)


@contextlib.contextmanager
def keeping_weights(checkpoint: Checkpoint) -> Iterator[None]:
    """Lets the weights be changed in place, and puts them back at the end."""
    kept = {name: value.detach().to("cpu", copy=True) for name, value in checkpoint.model.state_dict().items()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in checkpoint.model.state_dict().items():
                value.copy_(kept[name])


def reworded(example: Example, question: str) -> Example:
    """An example with another question, in the benchmark's own form of prompt too."""
    # Copied field by field: the example's pictures are given by a function, and by no `image`.
    return Example(
        example.subject,
        question,
        example.answer,
        example.modality,
        prompt=example.prompt.replace(example.question, question),
        pictures=example.pictures,
        digest=example.digest,
    )
