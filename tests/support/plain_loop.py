"""Answering as a user would write it, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmms_manu.answering.requests import PromptRequest
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint


def plain_answers(checkpoint: Checkpoint, requests: Sequence[PromptRequest]) -> list[str]:
    """One prompt after the other through the model's own `generate`."""
    encoder = PromptEncoder(checkpoint)
    texts = []
    for request in requests:
        inputs = encoder.process([request.text], [request.pictures()])
        generation = request.generation
        model: Any = checkpoint.model
        new = model.generate(**inputs, max_new_tokens=generation.max_new_tokens, pad_token_id=0, **generation.options())
        texts.append(encoder.tokenizer.decode(new[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    return texts
