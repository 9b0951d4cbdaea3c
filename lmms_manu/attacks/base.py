"""What an attack is: named variants, each of which turns a model and its questions into what is then asked."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import ClassVar

import torch

from lmms_manu.methods.data import UnlearningData
from lmms_manu.models.loading import Checkpoint


@dataclasses.dataclass(frozen=True)
class Target:
    """A model, and the examples by which its knowledge is read.

    Args:
        checkpoint: the model.
        data: whom it was to forget, and those to retain.
    """

    checkpoint: Checkpoint
    data: UnlearningData


Variant = Callable[[Target], AbstractContextManager[Target]]
"""Gives the attacked target for as long as it is asked, and puts the model back as it was."""


class Attack:
    """An attack: a file with a subclass of this, named in the registry."""

    name: ClassVar[str]
    """Its name in arguments and results."""

    def variants(self) -> Mapping[str, Variant]:
        """The ways in which it is tried, by name."""
        raise NotImplementedError


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
