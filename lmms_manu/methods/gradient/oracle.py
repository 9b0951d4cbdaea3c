"""A reference that is another model: asked once, before the training, and forgotten."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from lmms_manu.errors import ModelError
from lmms_manu.memory import release_memory
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.training.answers import Asker
from lmms_manu.training.examples import Examples
from lmms_manu.training.order import Turn
from lmms_manu.training.reference import OtherModel


def log_probs_of(reference: str, checkpoint: Checkpoint, learn: Examples, turns: Sequence[Turn]) -> OtherModel:
    """The log-probabilities of the samples to forget under the model called `reference`.

    Args:
        reference: folder or hub name.
        checkpoint: the model that will be trained; the reference is loaded as it was.
        learn: the samples to forget.
        turns: the batches, of which this process asks for its share.

    Raises:
        ModelError: it cannot be loaded, or reads other tokens.
    """
    settings = checkpoint.settings
    own = dataclasses.replace(
        settings, pretrained=reference, processor=settings.processor_source, adapter=None, revision=None
    )
    other = load_checkpoint(own)
    if len(other.tokenizer) != len(checkpoint.tokenizer) or other.model.config.get_text_config().vocab_size != (
        checkpoint.model.config.get_text_config().vocab_size
    ):
        raise ModelError(f"reference={reference!r} has another vocabulary than {checkpoint.name}.")
    # A sample stands in the same share of a batch in no two epochs, so that every process needs all of them.
    asked = {(turn.modality, place): None for turn in turns for place in turn.learn}
    batches = (
        learn.batch(modality, chosen)
        for modality in learn.by_modality
        for chosen in _groups([place for own, place in asked if own == modality], 8)
    )
    found = OtherModel.of(Asker(other.model, other.device), batches)
    del other
    release_memory()
    return found


def _groups(places: Sequence[int], size: int) -> list[list[int]]:
    ordered = sorted(places)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]
