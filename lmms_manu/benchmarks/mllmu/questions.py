"""The questions of a leaf as documents: small rows of text that say where a picture is, not the picture."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from datasets import Dataset, Features, List, Value

from lmms_manu.benchmarks.mllmu.exemplars import ProtocolSettings, choose_picture
from lmms_manu.benchmarks.mllmu.names import TEST_SET, Leaf, leaves
from lmms_manu.benchmarks.mllmu.people import exemplar_people, people_of_leaf, readings_of
from lmms_manu.benchmarks.mllmu.profiles import Question, Skipped, report_skipped
from lmms_manu.benchmarks.mllmu.prompts import LETTERS
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.errors import DataError

LEAVES = {leaf.name: leaf for leaf in leaves()}

NO_PICTURE = -1

DOCUMENT_FEATURES = Features(
    {
        "leaf": Value("string"),
        "dataset": Value("string"),
        "person": Value("string"),
        "config": Value("string"),
        "row": Value("int32"),
        "picture": Value("int32"),
        "number": Value("int32"),
        "question": Value("string"),
        "options": List(Value("string")),
        "answer": Value("string"),
        "exemplars": List(Value("string")),
        "skipped": Value("int32"),
    }
)
"""A document: a question and all that is needed to ask and score it in any process.

`dataset`, `config`, `row` and `picture` say where the person's picture is (`picture` is `NO_PICTURE` without one),
`number` is the question's place in the row, `options` are the texts of A to D (empty but for classification),
`exemplars` the IDs of the exemplar people, `skipped` how many questions the leaf has lost.
"""


@dataclasses.dataclass(frozen=True)
class LeafQuestions:
    """What a leaf asks.

    Args:
        leaf: the leaf.
        source: the dataset it is read from.
        settings: what chose the exemplars and the Test set's pictures.
        exemplars: the IDs of the exemplar people, whose questions are not asked.
        documents: rows of `DOCUMENT_FEATURES`.
        skipped: what was left out as unusable.
    """

    leaf: Leaf
    source: DatasetSource
    settings: ProtocolSettings
    exemplars: tuple[str, ...]
    documents: Dataset
    skipped: tuple[Skipped, ...]

    @property
    def skipped_questions(self) -> int:
        """How many questions were left out as unusable."""
        return sum(item.questions for item in self.skipped)


@functools.lru_cache(maxsize=64)
def load_questions(leaf: Leaf, source: DatasetSource, settings: ProtocolSettings) -> LeafQuestions:
    """The questions of a leaf, without those of its exemplar people; what is unusable is skipped with a warning.

    No picture is read but for the choice of the Test set's and the exemplars'. One that turns out broken when it is
    asked for is skipped then: see `results.score_answer`.

    Raises:
        DataError: no usable question is left.
    """
    people = people_of_leaf(source, leaf)
    exemplars = exemplar_people(source, leaf, settings)
    readings = readings_of(source, people.config, leaf.task, leaf.modality)
    skipped = [*people.skipped]
    documents: list[dict[str, Any]] = []
    for person, row in people.rows.items():
        if person in exemplars:
            continue
        picture = NO_PICTURE if leaf.modality == "text" else _picture(source, people.config, row, person, settings.seed)
        for reading in readings[row]:
            if isinstance(reading, Skipped):
                skipped.append(reading)
            elif picture is None:
                reason = "there is no picture that can be opened"
                skipped.append(Skipped(people.config, row, person, reason, reading.number))
            else:
                documents.append(_document(leaf, source, person, people.config, row, picture, reading, exemplars))
    report_skipped(skipped, leaf.name)
    if not documents:
        raise DataError(f"{leaf.name} has no usable question: see {people.config} of {source}.")
    lost = sum(item.questions for item in skipped)
    columns = {name: [document[name] for document in documents] for name in DOCUMENT_FEATURES if name != "skipped"}
    rows = Dataset.from_dict({**columns, "skipped": [lost] * len(documents)}, features=DOCUMENT_FEATURES)
    return LeafQuestions(leaf, source, settings, exemplars, rows, tuple(skipped))


def _picture(source: DatasetSource, config: str, row: int, person: str, seed: int) -> int | None:
    """The number of the picture that goes with a person's questions; None if no picture is usable."""
    if config != TEST_SET:
        return 0 if source.offers_picture(config, row) else None
    usable = [index for index in range(source.pictures(config, row)) if source.has_picture(config, row, index)]
    return choose_picture(person, usable, seed) if usable else None


def _document(
    leaf: Leaf,
    source: DatasetSource,
    person: str,
    config: str,
    row: int,
    picture: int,
    question: Question,
    exemplars: tuple[str, ...],
) -> dict[str, Any]:
    return {
        "leaf": leaf.name,
        "dataset": source.path,
        "person": person,
        "config": config,
        "row": row,
        "picture": picture,
        "number": question.number,
        "question": question.text,
        "options": [question.options[letter] for letter in LETTERS] if question.options else [],
        "answer": question.answer,
        "exemplars": list(exemplars),
    }
