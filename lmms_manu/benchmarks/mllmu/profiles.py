"""People and their questions, read from rows that may be dirty: what cannot be used is named and counted."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lmms_manu import variables
from lmms_manu.benchmarks.mllmu.names import QUESTIONS_PER_PERSON
from lmms_manu.benchmarks.mllmu.prompts import IMAGE, LETTERS

logger = logging.getLogger(__name__)

_CLASSIFICATION_FIELD = {"multimodal": "Image_Textual_Questions", "text": "Pure_Text_Questions"}
_OPEN_FIELD = {"generation": "Generation_Task", "cloze": "Mask_Task"}
_OPEN_TYPE = {"multimodal": "Image_Textual", "text": "Pure_Text"}
_LABELLED = re.compile(r"\(?(?P<letter>[A-Da-d])\s*[).:]+(?P<text>.*)", re.DOTALL)
_NAME_IN_BROKEN_JSON = re.compile(r"""["']Name["']\s*:\s*["']([^"'\n]+)["']""")


@dataclasses.dataclass(frozen=True)
class Question:
    """A usable question of a person.

    Args:
        number: its place among the person's questions of this task and modality, from 0.
        text: the question; a cloze question has `__` for its blank.
        answer: the correct letter, or the text that is right.
        options: the text of each letter; empty but for classification.
    """

    number: int
    text: str
    answer: str
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Something in the dataset that was left out, and why.

    Args:
        config: the configuration it stands in.
        row: the row's number, None where there is no row (a person who is missing).
        person: the ID as far as it is known.
        reason: what is wrong.
        number: the question's place among its kind, None for all the questions of the row.
        questions: how many questions are lost.
    """

    config: str
    row: int | None
    person: str
    reason: str
    number: int | None = None
    questions: int = 1

    def __str__(self) -> str:
        where = self.config if self.row is None else f"{self.config} row {self.row}"
        question = "" if self.number is None else f", question {self.number + 1}"
        return f"{where} (ID {self.person or 'unknown'}){question}: {self.reason}"


def question_field(task: str) -> str:
    """The column that holds the questions of a task."""
    return "Classification_Task" if task == "classification" else _OPEN_FIELD[task]


def read_id(value: Any) -> str:
    """The ID that a row has as `value`, empty if it has none."""
    return "" if value is None else str(value).strip()


def read_name(biography: Any) -> str:
    """The name in a biography (JSON, possibly broken), empty if there is none."""
    if not isinstance(biography, str):
        return ""
    try:
        parsed = json.loads(biography)
    except (ValueError, RecursionError):
        found = _NAME_IN_BROKEN_JSON.search(biography)
        return found.group(1).strip() if found else ""
    if not isinstance(parsed, dict):
        return ""
    name = next((value for key, value in parsed.items() if str(key).strip(" :").lower() == "name"), None)
    return name.strip() if isinstance(name, str) else ""


def read_questions(
    row: Mapping[str, Any], task: str, modality: str, config: str, row_number: int
) -> Iterator[Question | Skipped]:
    """The questions of a row for one task and modality, the unusable ones as `Skipped`.

    Args:
        row: a row of a configuration, its pictures not needed.
        task: one of `names.TASKS`.
        modality: one of `names.MODALITIES`.
        config: the configuration's name and
        row_number: the row's number, both for messages.
    """
    person = read_id(row.get("ID"))
    records = _records(row, task, modality)
    if not records:
        reason = f"{question_field(task)} has no {modality} questions"
        yield Skipped(config, row_number, person, reason, questions=QUESTIONS_PER_PERSON[task])
        return
    for number, record in enumerate(records):
        reading = _choice(number, record) if task == "classification" else _open(number, record, task)
        yield Skipped(config, row_number, person, reading, number) if isinstance(reading, str) else reading


def read_pairs(metadata: Any) -> list[tuple[str, str]] | str:
    """The question-answer pairs of a fine-tuning row, or what is wrong with all of them.

    Pairs with a missing question or answer come out with an empty text in its place.
    """
    try:
        parsed = json.loads(metadata) if isinstance(metadata, str) else metadata
    except (ValueError, RecursionError) as error:
        return f"metadata is no JSON ({error})"
    if not isinstance(parsed, list):
        return "metadata holds no list of questions"
    pairs = [record if isinstance(record, dict) else {} for record in parsed]
    return [(_text(pair.get("Question")), _text(pair.get("Answer"))) for pair in pairs]


def report_skipped(skipped: Iterable[Skipped], where: str, shown: int = 20) -> None:
    """One warning that counts and names what was left out of `where`."""
    listed = list(skipped)
    if not listed or not variables.is_first_process():
        return
    lines = [f"  {item}" for item in listed[:shown]]
    if len(listed) > shown:
        lines.append(f"  and {len(listed) - shown} more: lmms-manu dataset-stats --skipped lists them all")
    count = sum(item.questions for item in listed)
    logger.warning("%s: %d question(s) skipped as unusable.\n%s", where, count, "\n".join(lines))


def _records(row: Mapping[str, Any], task: str, modality: str) -> list[Any]:
    """The raw questions of one kind, and those of which nobody can tell the kind."""
    if task == "classification":
        both = row.get("Classification_Task")
        return _rows_of(both.get(_CLASSIFICATION_FIELD[modality])) if isinstance(both, dict) else []
    others = {kind for name, kind in _OPEN_TYPE.items() if name != modality}
    return [record for record in _rows_of(row.get(_OPEN_FIELD[task])) if _type(record) not in others]


def _type(record: Any) -> str:
    return _text(record.get("Type")).strip() if isinstance(record, dict) else ""


def _rows_of(value: Any) -> list[Any]:
    """A list of records, whether stored as such or as one record of lists; empty if it is neither."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        # Where a column is shorter, what it lacks is missing from the last records, which are then named as unusable.
        return [dict(zip(value, record, strict=True)) for record in itertools.zip_longest(*value.values())]
    return []


def _choice(number: int, record: Any) -> Question | str:
    """A multiple-choice question, or why it is none."""
    if not isinstance(record, dict):
        return "it is empty"
    text = _text(record.get("Question"))
    if not text:
        return "the question is missing or empty"
    options = record.get("Options")
    if not isinstance(options, dict):
        return "it has no options"
    texts = {letter: _text(options.get(letter)) for letter in LETTERS}
    if empty := [letter for letter in LETTERS if not texts[letter]]:
        return f"option {', '.join(empty)} is missing or empty"
    letter = _letter(_text(record.get("Correct_Answer")).strip(), texts)
    if letter is None:
        return f"the correct answer {record.get('Correct_Answer')!r} is none of the options"
    if any(IMAGE in part for part in (text, *texts.values())):
        return f"its text contains {IMAGE}, which stands for a picture"
    return Question(number, text, letter, texts)


def _letter(correct: str, options: Mapping[str, str]) -> str | None:
    """The correct letter where it is written as such ("A", "(a)"), with its option ("A. text") or as an option."""
    if correct.upper() in LETTERS:
        return correct.upper()
    named = [letter for letter, text in options.items() if text.strip().lower() == correct.lower()]
    if named:
        return named[0] if len(named) == 1 else None
    labelled = _LABELLED.fullmatch(correct)
    if labelled is None:
        return None
    letter, text = labelled["letter"].upper(), labelled["text"].strip().lower()
    return letter if text in ("", options[letter].strip().lower()) else None


def _open(number: int, record: Any, task: str) -> Question | str:
    """A generation or cloze question, or why it is none."""
    if not isinstance(record, dict):
        return "it is empty"
    if _type(record) not in _OPEN_TYPE.values():
        return f"its type {record.get('Type')!r} is none of {', '.join(_OPEN_TYPE.values())}"
    text, answer = _text(record.get("Question")), _text(record.get("Ground_Truth"))
    if not text:
        return "the question is missing or empty"
    if not answer:
        return "the ground truth is missing or empty"
    if task == "cloze" and "__" not in text:
        return "the question has no blank (__)"
    if IMAGE in text or IMAGE in answer:
        return f"its text contains {IMAGE}, which stands for a picture"
    return Question(number, text, answer)


def _text(value: Any) -> str:
    """Text that is not blank as it stands, anything else as nothing."""
    return value if isinstance(value, str) and value.strip() else ""
