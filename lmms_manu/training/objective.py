"""The model in training with its loss: one module, so that whatever wraps it sees its forward pass."""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lmms_manu.training.answers import Asker
from lmms_manu.training.examples import Batch
from lmms_manu.training.reference import Reference
from lmms_manu.training.terms import Against, Needs, Term

LEARN, RETAIN = "learn", "retain"


@dataclasses.dataclass(frozen=True)
class Weighted:
    """A term and what it counts."""

    term: Term
    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Terms:
    """What is minimised: the mean of `learn` over the samples to forget or to learn, and that of `retain`.

    Args:
        learn: on the samples to forget, or to learn.
        retain: on those to retain; None for none.
    """

    learn: Weighted
    retain: Weighted | None = None

    def of(self, group: str) -> Weighted:
        chosen = self.learn if group == LEARN else self.retain
        assert chosen is not None
        return chosen


class Objective(nn.Module):
    """A model whose forward pass gives the loss on one batch.

    Args:
        model: what is trained.
        asker: runs it.
        terms: what is minimised.
        reference: for the terms that need one.
        touch_all: gives parameters that have no part in a batch a gradient of zero in place of none: processes that
            train together wait for one from each, and an optimiser treats the two otherwise.
    """

    def __init__(
        self, model: nn.Module, asker: Asker, terms: Terms, reference: Reference, *, touch_all: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        there = {type(module).__name__ for module in asker.base.modules()}
        # The layers that transformers keeps whole: accelerate asks for them where it cuts a model into shards.
        self._no_split_modules = sorted(there & {*(getattr(asker.base, "_no_split_modules", None) or ())})
        self._asker = asker
        self._terms = terms
        self._reference = reference
        self._touched = [each for each in model.parameters() if each.requires_grad] if touch_all else []
        self._sums: dict[str, Tensor] = {}
        self._batches: collections.Counter[str] = collections.Counter()
        self._group = ""
        self._masking: list[RemovableHandle] = []

    @property
    def device(self) -> torch.device:
        """Where the model is run."""
        return self._asker.device

    def mask_learning(self, masks: Mapping[nn.Parameter, Tensor]) -> None:
        """From here on, batches of `LEARN` move those entries alone of a parameter that its mask, bool, has.

        It is undone by `unmask_learning`.
        """

        def masked(gradient: Tensor, mask: Tensor) -> Tensor:
            return gradient * mask if self._group == LEARN else gradient

        for parameter, mask in masks.items():
            self._masking.append(parameter.register_hook(functools.partial(masked, mask=mask)))

    def unmask_learning(self) -> None:
        """Takes the masks off again."""
        while self._masking:
            self._masking.pop().remove()

    def forward(self, group: str, batch: Batch) -> Tensor:
        """The loss on a batch of the set `group`, or of this process's share of it."""
        self._group = group
        weighted = self._terms.of(group)
        # Before the model itself is run: switching adapters off and on must not come between it and its gradients.
        against = self._against(weighted.term.needs, batch)
        answers = self._asker(batch)
        loss = batch.weight * weighted.term(answers, against).sum()
        self._add(group, "loss", loss.detach())
        self._add(group, "cross_entropy", batch.weight * (-answers.log_probs / answers.lengths).detach().sum())
        self._batches[group] += 1
        total = weighted.weight * loss
        for parameter in self._touched:
            total = total + 0 * parameter.sum()
        return total

    def _against(self, needs: Needs, batch: Batch) -> Against:
        if needs == "log_probs":
            return Against(log_probs=self._reference.log_probs(batch))
        return Against(answers=self._reference.answers(batch)) if needs == "answers" else Against()

    def _add(self, group: str, what: str, value: Tensor) -> None:
        name = f"{group}_{what}"
        self._sums[name] = self._sums[name] + value if name in self._sums else value

    def take(self) -> dict[str, float]:
        """The means over the batches since this was called last: each set's loss, and its cross-entropy."""
        means = {name: float(value) / self._batches[name.split("_")[0]] for name, value in self._sums.items()}
        self._sums.clear()
        self._batches.clear()
        return means
