"""From a document to what a model is asked: the released prompt, the pictures, the turns of a conversation."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any

from PIL import Image

from lmms_manu import variables
from lmms_manu.benchmarks.mllmu.names import Leaf
from lmms_manu.benchmarks.mllmu.people import exemplar_config, people_of, questions_of
from lmms_manu.benchmarks.mllmu.profiles import Question
from lmms_manu.benchmarks.mllmu.prompts import (
    LETTERS,
    Conversation,
    Pictures,
    Prompt,
    assistant_turn,
    instruction,
    released_question,
    released_shot,
    user_turn,
)
from lmms_manu.benchmarks.mllmu.questions import LEAVES
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.errors import DataError

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]
Shot = tuple[int, Question]
"""The row of an exemplar person in the configuration of exemplars, and one of the person's questions."""


def released_text(document: Document) -> str:
    """The released prompt of a document; opens no picture."""
    prefix, question = _released(document)
    return prefix + question


def pictures(document: Document, continuations: tuple[str, ...] = ()) -> Pictures:
    """The pictures of a document's prompt, exemplars first, decoded now; none in the text modality."""
    prompt = _prompt(document, continuations)
    return Pictures(prompt.pictures, prompt)


def conversation(document: Document, continuations: tuple[str, ...] = ()) -> Conversation:
    """A document as chat messages, its exemplars as turns.

    Args:
        document: the document.
        continuations: texts whose likelihoods are asked for in place of an answer.
    """
    prompt = _prompt(document, continuations)
    leaf = LEAVES[document["leaf"]]
    shots = _shots(*_shot_key(document))
    turns = []
    for index, (_, question) in enumerate(shots):
        text = instruction(leaf.task, leaf.modality, question.text, question.options)
        turns += [user_turn(text, prompt.pictures[index : index + 1]), assistant_turn(question.answer)]
    text = instruction(leaf.task, leaf.modality, document["question"], _options(document))
    turns.append(user_turn(text, prompt.pictures[len(shots) :]))
    return Conversation(turns, prompt)


def label(document: Document) -> str:
    """Where a document comes from, for messages."""
    return f"{document['leaf']}, ID {document['person']}, question {document['number'] + 1}"


def openly(document: Document) -> Document:
    """A multiple-choice question as an open one: in generation's prompt, without options and exemplars."""
    leaf = LEAVES[document["leaf"]]
    open_leaf = Leaf(leaf.split, leaf.ratio, "generation", leaf.modality)
    right = _options(document)[document["answer"]]
    return {**document, "leaf": open_leaf.name, "answer": right, "options": [], "exemplars": []}


def _prompt(document: Document, continuations: tuple[str, ...] = ()) -> Prompt:
    leaf = LEAVES[document["leaf"]]
    prefix, question = _released(document)
    return Prompt(
        released=prefix + question,
        shared_prefix=prefix,
        pictures=_opened(document, leaf),
        forget_ratio=leaf.ratio,
        first_character_only=leaf.task == "classification",
        label=label(document),
        advice=_advice(document, leaf),
        continuations=continuations,
    )


def _released(document: Document) -> tuple[str, str]:
    """The exemplars' part and the question's part of the released prompt."""
    leaf = LEAVES[document["leaf"]]
    shots = (
        released_shot(leaf.task, leaf.modality, question.text, question.answer, question.options)
        for _, question in _shots(*_shot_key(document))
    )
    return "".join(shots), released_question(leaf.task, leaf.modality, document["question"], _options(document))


def _opened(document: Document, leaf: Leaf) -> tuple[Image.Image, ...]:
    if leaf.modality == "text":
        return ()
    source = DatasetSource(document["dataset"])
    config = exemplar_config(leaf.split)
    shown = [_open_or_blank(source, config, row, 0) for row, _ in _shots(*_shot_key(document))]
    return (*shown, _open_or_blank(source, document["config"], document["row"], document["picture"]))


def _open_or_blank(source: DatasetSource, config: str, row: int, index: int) -> Image.Image:
    """A picture, or a blank in its place where it turns out broken: its question is then skipped, not scored."""
    try:
        return source.image(config, row, index)
    except DataError as error:
        logger.warning("%s Its question is skipped.", error)
        return Image.new("RGB", (64, 64), "gray")


def _advice(document: Document, leaf: Leaf) -> str:
    people = len(document["exemplars"])
    if not people:
        return ""
    name = f"celebrity.{leaf.task}" if leaf.split == "celebrity" else leaf.task
    return (
        f"Lower the number of exemplar people of {leaf.task} (now {people}) with the environment variable "
        f"{variables.EXEMPLARS}={name}={people - 1}."
    )


def _options(document: Document) -> dict[str, str]:
    return dict(zip(LETTERS, document["options"], strict=False))


def _shot_key(document: Document) -> tuple[str, str, tuple[str, ...]]:
    return document["dataset"], document["leaf"], tuple(document["exemplars"])


@functools.lru_cache(maxsize=64)
def _shots(dataset: str, leaf_name: str, exemplars: tuple[str, ...]) -> tuple[Shot, ...]:
    leaf = LEAVES[leaf_name]
    source, config = DatasetSource(dataset), exemplar_config(leaf.split)
    rows = people_of(source, config).rows
    return tuple(
        (rows[person], question)
        for person in exemplars
        for question in questions_of(source, config, rows[person], leaf.task, leaf.modality)
    )
