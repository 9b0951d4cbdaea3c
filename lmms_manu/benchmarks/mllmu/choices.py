"""The multiple-choice questions about people as examples: the answer is the right option's letter."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from lmms_manu.benchmarks.example import Example
from lmms_manu.benchmarks.mllmu import prompt_building
from lmms_manu.benchmarks.mllmu.exemplars import ProtocolSettings
from lmms_manu.benchmarks.mllmu.names import Leaf
from lmms_manu.benchmarks.mllmu.prompts import LETTERS, instruction
from lmms_manu.benchmarks.mllmu.questions import load_questions
from lmms_manu.benchmarks.mllmu.source import DatasetSource

TASK = "classification"


def choices(source: DatasetSource, ratio: int, modality: str, people: Sequence[str], *, turned: bool) -> list[Example]:
    """The forget set's multiple-choice questions, each by itself, without exemplars.

    Args:
        source: the dataset.
        ratio: of the people to forget.
        modality: of the questions.
        people: whom to ask about.
        turned: whether the options stand in the reverse order.
    """
    documents = load_questions(Leaf("forget", ratio, TASK, modality), source, ProtocolSettings()).documents
    return [
        _example({**document, **(_turned(document) if turned else {}), "exemplars": []}, modality)
        for document in _about(documents, frozenset(people))
    ]


def _about(documents: Any, people: frozenset[str]) -> Iterator[Mapping[str, Any]]:
    return (document for document in documents if document["person"] in people)


def _turned(document: Mapping[str, Any]) -> dict[str, Any]:
    """The options in the reverse order, and the letter that the right one then has."""
    count = len(document["options"])
    right = count - 1 - LETTERS.index(document["answer"])
    return {"options": document["options"][::-1], "answer": LETTERS[right]}


def _example(document: Mapping[str, Any], modality: str) -> Example:
    options = dict(zip(LETTERS, document["options"], strict=False))
    return Example(
        document["person"],
        instruction(TASK, modality, document["question"], options),
        document["answer"],
        modality,
        prompt=prompt_building.released_text(document),
        pictures=functools.partial(_pictures, document),
        digest=functools.partial(_digest, document),
    )


def _pictures(document: Mapping[str, Any]) -> list[Image.Image]:
    return list(prompt_building.pictures(document))


def _digest(document: Mapping[str, Any]) -> str:
    """The SHA-256 of the pixels; empty without a picture."""
    return "".join(hashlib.sha256(one.tobytes()).hexdigest() for one in _pictures(document))
