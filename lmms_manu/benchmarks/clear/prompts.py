"""What CLEAR asks: the questions that its models were trained and are tested on, and choices between options."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

from lmms_manu.benchmarks.draw_by_rule import rank

# The released code draws one of these for each picture; a model is asked in the words that it was trained on.
CAPTION_QUESTIONS = (
    "What can you see in this picture?",
    "Tell me about the content of this image",
    "Can you give a description of the image?",
    "What is depicted in the image?",
    "Explain what you observe in the picture.",
    "Describe the image in detail.",
    "What is the main subject of this image?",
    "Can you describe the scene or objects in the image?",
    "What is happening in this image?",
)
NAME_QUESTION = "The name of the person on the image is"
CHOOSE_NAME = "Who is the person in the image?"
LETTERS = string.ascii_uppercase

_ONE_LETTER = "Answer with the letter alone."


def caption_question(caption: str) -> str:
    """Which of `CAPTION_QUESTIONS` goes with a picture, by a hash of its caption: the same one wherever it stands."""
    return CAPTION_QUESTIONS[int(rank(0, "caption question", caption), 16) % len(CAPTION_QUESTIONS)]


def choices(answer: str, others: Sequence[str]) -> list[str]:
    """The right answer and the others, each once, in an order by a hash that does not know which one is right."""
    every = {answer, *others}
    among = "/".join(sorted(every))
    return sorted(every, key=lambda option: (rank(0, "option", f"{among}/{option}"), option))


def question_text(document: Mapping[str, Any]) -> str:
    """The question of a document with its options."""
    if not document["options"]:
        return str(document["question"])
    lines = [f"{letter}: {option}" for letter, option in zip(LETTERS, document["options"], strict=False)]
    return "\n".join([document["question"], *lines, _ONE_LETTER])
