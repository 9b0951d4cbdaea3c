"""The questions of a leaf as documents: rows of text that say where a picture is."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Iterator
from typing import Any

from datasets import Dataset, Features, List, Value

from lmms_manu import variables
from lmms_manu.benchmarks.base import Task
from lmms_manu.benchmarks.clear.authors import picture_rows, text_rows
from lmms_manu.benchmarks.clear.names import REAL_FACES, REAL_WORLD, authors_config, config_of
from lmms_manu.benchmarks.clear.prompts import CHOOSE_NAME, NAME_QUESTION, caption_question, choices
from lmms_manu.benchmarks.clear.source import ClearSource
from lmms_manu.errors import DataError

logger = logging.getLogger(__name__)

LIMIT = 300
"""The most questions of a leaf, as in the released evaluation."""

DOCUMENT_FEATURES = Features(
    {
        "leaf": Value("string"),
        "dataset": Value("string"),
        "person": Value("string"),
        "config": Value("string"),
        "row": Value("int32"),
        "question": Value("string"),
        "options": List(Value("string")),
        "answer": Value("string"),
        "skipped": Value("int32"),
    }
)
"""A document: a question and all that is needed to ask and score it in any process.

`options` are the texts of A, B and so on, empty where nothing is chosen; `answer` is the letter of the right one then.
`skipped` is how many questions the leaf has lost.
"""

Question = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class LeafQuestions:
    """What a leaf asks.

    Args:
        source: the dataset it is read from.
        documents: rows of `DOCUMENT_FEATURES`.
        skipped: what was left out as unusable, and why.
    """

    source: ClearSource
    documents: Dataset
    skipped: tuple[str, ...]


@functools.lru_cache(maxsize=64)
def load_questions(task: Task, source: ClearSource) -> LeafQuestions:
    """The questions of a leaf; what is unusable is skipped with a warning.

    Where there are more than `LIMIT`, they are taken at even distances, so that they still ask about all people.

    Raises:
        DataError: no usable question is left.
    """
    config = config_of(task)
    places = list(_places(task, source, config))
    places = [places[index * len(places) // LIMIT] for index in range(LIMIT)] if len(places) > LIMIT else places
    if task.modality == "multimodal":
        whole = source.rows_that_decode(config, [row for _, row in places])
    else:
        whole = frozenset(row for _, row in places)
    rows = source.texts(config)
    documents, skipped = [], list(_homeless(task, source, config))
    for person, row in places:
        asked = _question(task, config, rows[row]) if row in whole else "its picture is missing or cut off"
        if isinstance(asked, str):
            skipped.append(f"{config} row {row} ({person}): {asked}")
        else:
            where = {"leaf": task.name, "dataset": source.path, "person": person, "config": config, "row": row}
            documents.append({**where, **asked})
    _report(task.name, skipped)
    if not documents:
        raise DataError(f"{task.name} has no usable question: see {config} of {source}.")
    for document in documents:
        document["skipped"] = len(skipped)
    return LeafQuestions(source, Dataset.from_list(documents, features=DOCUMENT_FEATURES), tuple(skipped))


def _places(task: Task, source: ClearSource, config: str) -> Iterator[tuple[str, int]]:
    """Whom a leaf asks about, each with a row, in the order of the rows."""
    if task.ratio is None:
        answers = source.column(config, "answer")
        # Each question about the world stands for itself.
        yield from ((answer if config == REAL_FACES else f"{config}/{row}", row) for row, answer in enumerate(answers))
        return
    if task.modality == "text":
        found = text_rows(source, task.split, task.ratio).rows
    else:
        asked = picture_rows(source, authors_config(task.split, task.ratio)).rows
        found = {name: rows for name, rows in picture_rows(source, config).rows.items() if name in asked}
    yield from sorted(((name, row) for name, rows in found.items() for row in rows), key=lambda place: place[1])


def _homeless(task: Task, source: ClearSource, config: str) -> tuple[str, ...]:
    """The rows of a leaf that are nobody's."""
    if task.ratio is None:
        return ()
    if task.modality == "text":
        return text_rows(source, task.split, task.ratio).skipped
    return picture_rows(source, config).skipped


def _question(task: Task, config: str, values: dict[str, Any]) -> Question | str:
    """The question, options and answer of a row, or what is wrong with it."""
    is_real = task.ratio is None
    if task.kind == "generation" and task.modality == "multimodal" and not is_real:
        asked, answer = caption_question(values["caption"] or ""), values["caption"]
    elif task.kind == "generation":
        asked, answer = values["question"], values["answer"]
    else:
        answer = values["answer"] if is_real else values["name"]
        asked = NAME_QUESTION if task.kind == "recognition" else CHOOSE_NAME
        asked = values["question"] if config == REAL_WORLD else asked
    if not (asked and answer):
        return "the question or the answer is missing"
    if task.kind != "classification":
        return {"question": asked, "options": [], "answer": answer}
    others = values["options"] if is_real else values["perturbed_names"]
    shown = choices(answer, [other for other in others or () if other])
    if len(shown) < 2:
        return "it has no wrong option"
    return {"question": asked, "options": shown, "answer": chr(ord("A") + shown.index(answer))}


def _report(leaf: str, skipped: list[str], shown: int = 20) -> None:
    """One warning that counts and names what was left out."""
    if skipped and variables.is_first_process():
        lines = [f"  {reason}" for reason in skipped[:shown]]
        lines += [f"  and {len(skipped) - shown} more"] if len(skipped) > shown else []
        logger.warning("%s: %d question(s) skipped as unusable.\n%s", leaf, len(skipped), "\n".join(lines))
