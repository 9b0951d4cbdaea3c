"""What the model said before it was trained, or what another model says: the reference of losses that need one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lmms_manu.errors import DataError
from lmms_manu.training.answers import Answers, Asker
from lmms_manu.training.examples import Batch


class Reference:
    """The model as it was: with its adapter switched off, or with the original values of what is trained.

    No second model lies in memory. The log-probabilities of sequences are computed once and kept.

    Args:
        model: the model in training.
        asker: runs it.
        originals: the values before training of the parameters that are trained; None where an adapter is.
    """

    def __init__(self, model: Any, asker: Asker, originals: Mapping[str, Tensor] | None = None) -> None:
        self._model = model
        self._asker = asker
        self._originals = originals
        self._known: dict[str, Tensor] = {}

    def answers(self, batch: Batch) -> Answers:
        """What the model said of a batch before it was trained, without gradients."""
        with torch.no_grad(), _evaluating(self._model):
            if self._originals is not None:
                return self._asker(batch, self._originals)
            with self._model.disable_adapter():
                return self._asker(batch)

    def log_probs(self, batch: Batch) -> Tensor:
        """The log-probabilities `[sequences]` of the trained tokens, computed where they are not known yet."""
        if not all(name in self._known for name in batch.names):
            self._known.update(zip(batch.names, self.answers(batch).log_probs, strict=True))
        return torch.stack([self._known[name] for name in batch.names])


class OtherModel(Reference):
    """The log-probabilities of sequences under another model, which need not stay in memory.

    Args:
        known: by the names of the sequences, on the device of the training.
    """

    def __init__(self, known: Mapping[str, Tensor]) -> None:
        self._known = dict(known)

    @classmethod
    def of(cls, asker: Asker, batches: Iterable[Batch]) -> OtherModel:
        """Asks a model for all that will be needed."""
        known: dict[str, Tensor] = {}
        with torch.inference_mode():
            for batch in batches:
                known.update(zip(batch.names, asker(batch).log_probs.clone(), strict=True))
        return cls({name: value.clone() for name, value in known.items()})

    def answers(self, batch: Batch) -> Answers:
        raise DataError(f"The reference has no answers to {batch.names[0]}.")


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Without dropout; the modules are in the mode again afterwards that they were in."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
