"""What a model says of the trained tokens of a batch."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from lmms_manu.models.inputs import to_device
from lmms_manu.training.examples import Batch
from lmms_manu.training.losses import per_sequence, token_log_probs

Call = Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Answers:
    """A model's predictions of the trained tokens, sequence after sequence.

    Args:
        logits: float32 `[tokens, vocabulary]`.
        tokens: int `[tokens]`, the true ones.
        lengths: int `[sequences]`.
        hidden: float32 `[tokens, features]`, what a layer gives where the logits stand; None where none was asked for.
    """

    logits: Tensor
    tokens: Tensor
    lengths: Tensor
    hidden: Tensor | None = None

    @cached_property
    def distributions(self) -> Tensor:
        """The log-probabilities of the whole vocabulary, float32 `[tokens, vocabulary]`."""
        return self.logits.log_softmax(-1)

    @cached_property
    def log_probs(self) -> Tensor:
        """The log-probability of each sequence's trained tokens, float32 `[sequences]`."""
        return per_sequence(token_log_probs(self.distributions, self.tokens), self.lengths)

    def means(self, values: Tensor) -> Tensor:
        """The mean over each sequence, `[sequences]`, of values `[tokens]`."""
        return per_sequence(values, self.lengths) / self.lengths


class Asker:
    """Runs a model on batches and keeps what concerns the trained tokens alone.

    Args:
        model: the model, with or without adapters.
        device: where its inputs go.
        layer: the name of the module whose output `Answers.hidden` holds; None for none.
    """

    def __init__(self, model: Any, device: torch.device, layer: str | None = None) -> None:
        self._model = model
        self.device = device
        self.base: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
        """The model without adapters."""
        self._layer: nn.Module | None = self.base.get_submodule(layer) if layer is not None else None
        accepted = inspect.signature(self.base.forward).parameters
        self._dtype = self.base.dtype
        self._keeps = "logits_to_keep" in accepted
        self._options = {"use_cache": False} if "use_cache" in accepted else {}

    def __call__(self, batch: Batch, tensors: Mapping[str, Tensor] | None = None) -> Answers:
        """The answers to a batch.

        Args:
            batch: what to ask.
            tensors: values that stand in for the model's own, by the names of the parameters.
        """
        inputs = to_device(batch.inputs, self.device, self._dtype)
        rows, columns = batch.rows.to(self.device), batch.columns.to(self.device)
        needed, places = torch.unique(columns, return_inverse=True)
        options = {**self._options, "logits_to_keep": needed} if self._keeps else self._options
        seen: list[Tensor] = []
        hook = (
            self._layer.register_forward_hook(lambda _, __, output: seen.append(_states(output)))
            if self._layer
            else None
        )
        try:
            if tensors is None:
                output = self._model(**inputs, **options)
            else:
                output = torch.func.functional_call(self._model, dict(tensors), (), {**inputs, **options})
        finally:
            if hook is not None:
                hook.remove()
        logits = output.logits
        kept = places if logits.shape[1] == len(needed) else columns
        return Answers(
            logits[rows, kept].float(),
            batch.tokens.to(logits.device),
            batch.lengths.to(logits.device),
            seen[0][rows, columns].float() if seen else None,
        )


def _states(output: Any) -> Tensor:
    states: Tensor = output[0] if isinstance(output, tuple) else output
    return states
