"""A short exam: how well a model knows the answers, read off its predictions of their tokens."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from lmms_manu.measuring.parts import Parts
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint
from lmms_manu.training.answers import Asker
from lmms_manu.training.examples import Examples

QUESTIONS = 64
"""Questions of each part, spread evenly over it."""

LEARNT = 90
"""The share of answer tokens, in percent, from which on a part of the questions counts as learnt."""

_BATCH = 8

Marks = dict[str, dict[str, float]]


def examine(asker: Asker, checkpoint: Checkpoint, parts: Parts) -> Marks:
    """The share of answer tokens that the model finds likeliest, in percent, and the mean of their cross-entropy.

    Args:
        asker: runs the model.
        checkpoint: the model's tokenizer is used.
        parts: the questions, by set and modality.

    Returns:
        `questions`, `right` and `cross_entropy` for each part, such as "forget/text".
    """
    encoder = PromptEncoder(checkpoint)
    marks: Marks = {}
    for (group, modality), rendered in parts.items():
        count = min(QUESTIONS, len(rendered))
        chosen = [rendered[place * len(rendered) // count] for place in range(count)]
        if not chosen:
            continue
        examples = Examples(checkpoint, encoder, {modality: chosen}, "answer", f"the {group} set")
        right = tokens = 0
        lost = 0.0
        for start in range(0, len(examples), _BATCH):
            batch = examples.batch(modality, range(start, min(start + _BATCH, len(examples))))
            with torch.inference_mode():
                answers = asker(batch)
            right += int((answers.logits.argmax(-1) == answers.tokens).sum())
            tokens += len(answers.tokens)
            lost -= float(answers.log_probs.sum())
        marks[f"{group}/{modality}"] = {
            "questions": len(examples),
            "right": round(100 * right / tokens, 2),
            "cross_entropy": round(lost / tokens, 4),
        }
    return marks


def verdict(marks: Marks, taught: Iterable[str]) -> str:
    """Says whether a model has learnt the parts that it was taught.

    Args:
        marks: after the training, as of `examine`.
        taught: the names of these parts; those that have no questions do not count.
    """
    right = {part: marks[part]["right"] for part in taught if part in marks}
    if short := [f"{part} {share:.1f} %" for part, share in right.items() if share < LEARNT]:
        return (
            f"It has not learnt all that it was taught: {', '.join(short)}, where {LEARNT} % of the answer tokens are "
            "asked for. More epochs or a higher learning_rate teach more."
        )
    return f"It has learnt what it was taught: at least {LEARNT} % of the answer tokens of each part."
