"""The model in training with its loss: one module, so that whatever wraps it sees one forward pass a step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmms_manu.training.answers import Asker
from lmms_manu.training.examples import Batch
from lmms_manu.training.reference import Reference
from lmms_manu.training.terms import Against, Term

LEARN, RETAIN = "learn", "retain"


@dataclass(frozen=True)
class Weighted:
    """A term and what it counts."""

    term: Term
    weight: float = 1.0


@dataclass(frozen=True)
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
    """A model whose forward pass gives the loss of a step.

    Args:
        model: what is trained.
        asker: runs it.
        terms: what is minimised.
        reference: for the terms that need one.
    """

    def __init__(self, model: nn.Module, asker: Asker, terms: Terms, reference: Reference) -> None:
        super().__init__()
        self.model = model
        self._asker = asker
        self._terms = terms
        self._reference = reference
        self._sums: dict[str, Tensor] = {}

    def forward(self, batches: dict[str, Batch]) -> Tensor:
        """The loss of a step, by set, and a share of it where several processes take a part of each batch."""
        # Before the model itself is run: switching adapters off and on must not come between it and its gradients.
        against = {group: self._against(group, batch) for group, batch in batches.items()}
        total: Tensor | None = None
        for group, batch in batches.items():
            answers = self._asker(batch)
            weighted = self._terms.of(group)
            own = batch.weight * weighted.term(answers, against[group]).sum()
            plain = batch.weight * (-answers.log_probs / answers.lengths).detach().sum()
            self._add(f"{group}_loss", own.detach())
            self._add(f"{group}_cross_entropy", plain)
            total = weighted.weight * own if total is None else total + weighted.weight * own
        assert total is not None
        self._add("batches", torch.ones_like(total.detach()))
        return total

    def _against(self, group: str, batch: Batch) -> Against:
        needs = self._terms.of(group).term.needs
        if needs == "log_probs":
            return Against(log_probs=self._reference.log_probs(batch))
        return Against(answers=self._reference.answers(batch)) if needs == "answers" else Against()

    def _add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums[name] + value if name in self._sums else value

    def take(self) -> dict[str, float]:
        """The means over the batches since this was called last: each set's loss, and its cross-entropy."""
        batches = float(self._sums.pop("batches", torch.tensor(1.0)))
        means = {name: float(value) / batches for name, value in self._sums.items()}
        self._sums.clear()
        return means
