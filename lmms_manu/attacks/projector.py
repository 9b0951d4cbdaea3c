"""Projector: the one of the model before unlearning is put back. Did only the alignment of pictures and text break?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from transformers import PreTrainedModel

from lmms_manu.attacks.base import Attack, InapplicableError, Target, Variant, keeping_weights
from lmms_manu.training.settings import PROJECTOR
from lmms_manu.training.trained_weights import parameters_by_part


class Projector(Attack):
    """The attack `projector`: what stands between vision tower and language model is the vanilla model's again."""

    name = "projector"

    def __init__(self) -> None:
        self._kept: dict[str, torch.Tensor] | None = None

    def variants(self) -> Mapping[str, Variant]:
        return {"vanilla's": self._put_back}

    @contextlib.contextmanager
    def _put_back(self, target: Target) -> Iterator[Target]:
        own = _between_towers(target.checkpoint.model)
        if not own:
            raise InapplicableError("the model has no part between a vision tower and its language model")
        before = self._before(target)
        if all(torch.equal(value.cpu(), before[name]) for name, value in own.items()):
            raise InapplicableError("its projector is vanilla's: nothing is to be put back")
        with keeping_weights(target.checkpoint), torch.no_grad():
            for name, value in own.items():
                value.copy_(before[name])
            yield target

    def _before(self, target: Target) -> dict[str, torch.Tensor]:
        """The projector of the model before unlearning, loaded once."""
        if self._kept is None:
            if target.original is None:
                raise InapplicableError("the model before unlearning is not known")
            own = _between_towers(target.original().model)
            self._kept = {name: value.detach().cpu().clone() for name, value in own.items()}
        return self._kept


def _between_towers(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    parts = parameters_by_part(model)
    return {name: value for name, value in model.named_parameters() if parts.get(name) == PROJECTOR}
