"""Which entries of the weights matter more for what is to be forgotten than for what is to be kept.

What an entry matters on samples is the mean over batches of its squared gradient. Kept are pictured samples of the
people to retain and, in the language model, texts about everybody, those to forget included: only faces are to go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from lmms_manu.measuring.parts import Part, Parts
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.shards import batches_of
from lmms_manu.methods.mmunlearner.config import MMUnlearnerSettings
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.tower_names import LANGUAGE
from lmms_manu.training.answers import Asker
from lmms_manu.training.examples import Examples
from lmms_manu.training.trained_weights import chosen_parameters, parameters_by_part

FORGET = Part("forget", "multimodal")
KEPT = (Part("retain", "multimodal"), Part("retain", "text"), Part("forget", "text"))


class Balance:
    """What entries matter for the one beyond what they do for the other; a float32 for each entry.

    Args:
        parameters: by name.
        saliency: what the second counts.
    """

    def __init__(self, parameters: Mapping[str, Tensor], saliency: float) -> None:
        self._saliency = saliency
        self._beyond = {name: torch.zeros_like(value, dtype=torch.float32) for name, value in parameters.items()}

    def add(self, gradients: Mapping[str, Tensor], share: float, *, forget: bool) -> None:
        """Adds the squares of a batch's gradients, which count `share` in the mean."""
        for name, gradient in gradients.items():
            self._beyond[name].add_(gradient.float().square(), alpha=share if forget else -self._saliency * share)

    def masks(self) -> dict[str, Tensor]:
        """Which entries matter at least `saliency` times as much for what is to be forgotten, by name, bool."""
        return {name: beyond >= 0 for name, beyond in self._beyond.items()}


def saliency_masks(checkpoint: Checkpoint, parts: Parts, settings: MMUnlearnerSettings) -> dict[str, Tensor]:
    """The entries of each trained parameter that may learn from the samples to forget, bool, of its shape.

    Raises:
        DataError: a sample has no answer, or there is none.
        ModelError: a chosen part has no weights that can be trained.
    """
    model = checkpoint.model
    names = chosen_parameters(model, settings)
    of_part = parameters_by_part(model)
    trained = {name: model.get_parameter(name) for name in names}
    reading = {name: value for name, value in trained.items() if of_part[name] == LANGUAGE}
    batches = _batches(checkpoint, parts, settings)
    pictured = sum(part == KEPT[0] for part, _, _ in batches)
    kept = sum(part in KEPT for part, _, _ in batches)
    forgotten = len(batches) - kept
    balance = Balance(trained, settings.saliency)
    taking = {name: value.requires_grad for name, value in model.named_parameters()}
    model.requires_grad_(False)
    asker = Asker(model, checkpoint.device)
    try:
        for value in trained.values():
            value.requires_grad_(True)
        for part, examples, places in tqdm(batches, "saliency", unit="batch", disable=not Processes.current().first):
            wanted = reading if part.modality == "text" else trained
            if not wanted:
                continue
            answers = asker(examples.batch(part.modality, places))
            loss = (-answers.log_probs / answers.lengths).mean()
            found = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
            forget = part == FORGET
            gradients = {name: own for name, own in zip(wanted, found, strict=True) if own is not None}
            # What sees pictures alone is balanced against pictured samples alone.
            for language in (True, False):
                own = {name: value for name, value in gradients.items() if (name in reading) == language}
                total = forgotten if forget else (kept if language else pictured)
                balance.add(own, 1 / total, forget=forget)
    finally:
        for name, value in model.named_parameters():
            value.requires_grad_(taking[name])
    return balance.masks()


def _batches(
    checkpoint: Checkpoint, parts: Parts, settings: MMUnlearnerSettings
) -> list[tuple[Part, Examples, Sequence[int]]]:
    """The batches of all samples, each with its set."""
    encoder = PromptEncoder(checkpoint)
    found = []
    for part in (FORGET, *KEPT):
        if parts.get(part):
            own = Examples(
                checkpoint, encoder, {part.modality: parts[part]}, str(settings.trained_tokens), f"the {part.set} set"
            )
            found += [(part, own, places) for places in batches_of(range(len(own)), settings.train_batch_size)]
    return found
