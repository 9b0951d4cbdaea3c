"""What the user's own people are asked, as documents that any process understands."""

from __future__ import annotations

import logging
import string
from collections.abc import Mapping
from typing import Any

from datasets import Dataset, Features, List, Value

from lmms_manu import variables
from lmms_manu.benchmarks.base import Task
from lmms_manu.benchmarks.own.names import LIKELIHOOD
from lmms_manu.benchmarks.own.people import People, no_table, picture_problem
from lmms_manu.benchmarks.own.rows import Row, has_blank
from lmms_manu.errors import DataError

logger = logging.getLogger(__name__)

LETTERS = string.ascii_uppercase + string.ascii_lowercase
_ONE_LETTER = "Answer with the letter alone."
_FILL_IN = "Answer with what belongs in the place of the blank."

DOCUMENT_FEATURES = Features(
    {
        "leaf": Value("string"),
        "person": Value("string"),
        "label": Value("string"),
        "position": Value("int32"),
        "question": Value("string"),
        "options": List(Value("string")),
        "answer": Value("string"),
        "answers": List(Value("string")),
        "skipped": Value("int32"),
    }
)
"""A document: a question and all that is needed to ask and score it.

`position` is its row's among those of its set. `answers` are the texts whose likelihoods are read, the right one first;
empty where the model answers.
"""


def documents(task: Task, people: People) -> Dataset:
    """The questions of a leaf.

    Raises:
        DataError: its set has no such question, or there is no table of the set.
    """
    rows = people.rows(task.split)
    positions = {row.place: position for position, row in enumerate(rows)}
    asked = people.asked(task.split, task.kind, task.modality)
    wanted = [row for row in rows if task.kind in row.kinds and row.asked(task.modality)]
    found = {row.place for row in asked}
    broken = [picture_problem(row) for row in wanted if row.place not in found]
    if broken and variables.is_first_process():
        shown = "; ".join(broken[:5]) + (f" and {len(broken) - 5} more" if len(broken) > 5 else "")
        logger.warning("%s: %d question(s) have lost their picture: %s.", task.name, len(broken), shown)
    if not asked:
        raise DataError(no_questions(task, people))
    listed = [
        {
            **question(task, row),
            "person": row.subject,
            "label": f"{task.split}/{row.label}",
            "position": positions[row.place],
            "skipped": len(broken) + len(people.skipped[task.split]),
        }
        for row in asked
    ]
    return Dataset.from_list(listed, features=DOCUMENT_FEATURES)


def question(task: Task, row: Row) -> dict[str, Any]:
    """What a leaf asks of a row, and the right answer: those of a document's columns that make the prompt."""
    chosen = task.kind == "classification"
    return {
        "leaf": task.name,
        "question": row.asked(task.modality),
        "options": list(row.options) if chosen else [],
        "answer": _letter(row.options, row.answer) if chosen else row.answer,
        "answers": _right_first(row) if task.reads_likelihoods else [],
    }


def question_text(document: Mapping[str, Any]) -> str:
    """The question of a document as it is asked, with its options."""
    if document["options"]:
        lines = [f"{letter}: {option}" for letter, option in zip(LETTERS, document["options"], strict=False)]
        return "\n".join([document["question"], *lines, _ONE_LETTER])
    if has_blank(document["question"]):
        return f"{document['question']}\n{_FILL_IN}"
    return str(document["question"])


def _right_first(row: Row) -> list[str]:
    return [row.answer, *(option for option in row.options if option != row.answer)]


def _letter(options: tuple[str, ...], answer: str) -> str:
    return LETTERS[options.index(answer)]


def no_questions(task: Task, people: People) -> str:
    """Why a leaf has nothing to ask; empty if it has."""
    if task.split not in people.sets:
        return no_table(task.split)
    if people.asked(task.split, task.kind, task.modality):
        return ""
    needs = {
        "classification": "options",
        "cloze": "a blank in its question, such as ___",
        "generation": "a question without a blank",
        LIKELIHOOD: "a question",
    }[task.kind]
    modality = {
        "multimodal": "a picture that can be read",
        "text": "the subject's name in its question or a text_question",
    }[task.modality]
    return f"{task.name} has nothing to ask: no row of the {task.split} set has {needs} and {modality}."
