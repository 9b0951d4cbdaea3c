"""A row of a user's table as a question about somebody: what it can be asked as, or what is wrong with it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lmms_manu.benchmarks.draw_by_rule import rank
from lmms_manu.benchmarks.own.names import LIKELIHOOD, SETS
from lmms_manu.benchmarks.pictures import EncodedPicture
from lmms_manu.errors import DataError

_BLANK = re.compile(r"_{2,}|\[\s*blank\s*\]", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Row:
    """A question about somebody.

    Args:
        place: where it stands, for messages.
        number: its line or row.
        subject: whom it is about.
        question: as it is asked with the picture, or as text where there is none.
        answer: the right answer.
        options: the texts to choose from, the right one among them, in an order by rule; empty where there are none.
        text_question: as it is asked without the picture; empty where it cannot be.
        picture: the picture, not read yet; None without one.
    """

    place: str
    number: int
    subject: str
    question: str
    answer: str
    options: tuple[str, ...]
    text_question: str
    picture: EncodedPicture | None

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it can be asked as: a blank is filled in, all else is answered, and chosen where there are options."""
        if has_blank(self.question):
            return ("cloze", LIKELIHOOD)
        return ("generation", "classification", LIKELIHOOD) if self.options else ("generation", LIKELIHOOD)

    @property
    def label(self) -> str:
        """Itself in a samples file, the same as long as the question and its answer are."""
        return f"{self.number}/{rank(0, self.subject, f'{self.question}/{self.answer}')[:8]}"

    def asked(self, modality: str) -> str:
        """The question in a modality; empty where it has none of it."""
        if modality == "text":
            return self.text_question
        return self.question if self.picture is not None else ""


def has_blank(question: str) -> bool:
    """Whether a question has a blank to fill in: two underscores or more, or `[Blank]`."""
    return bool(_BLANK.search(question))


def of_set(values: Mapping[str, Any], name: str, place: str) -> bool:
    """Whether a row of the table of a set belongs to the set, by its column `set` where it has one.

    Raises:
        DataError: the column names no set.
    """
    said = _text(values.get("set"))
    if said and said not in SETS:
        raise DataError(f"{place}, column set: {said!r} is no set: write one of {', '.join(SETS)}, or nothing.")
    return said in ("", name)


def read_row(
    values: Mapping[str, Any], place: str, number: int, picture: EncodedPicture | None
) -> tuple[Row | None, str]:
    """A row of a table, and what of it cannot be used; None where nothing can.

    Args:
        values: its values by the names of the columns.
        place: where it stands, for messages.
        number: its line or row.
        picture: its picture.

    Raises:
        DataError: a value has a form that its column cannot have.
    """
    subject, question, answer = (_text(values.get(name)) for name in ("subject", "question", "answer"))
    empty = [name for name, text in (("subject", subject), ("question", question), ("answer", answer)) if not text]
    if empty:
        return None, f"{place}: nothing stands in the column {', '.join(empty)}"
    options, answer, problem = _choices(_options(values.get("options"), place), answer)
    text_question = _text(values.get("text_question"))
    if not text_question and (picture is None or names_subject(question, subject)):
        text_question = question
    row = Row(place, number, subject, question, answer, options, text_question, picture)
    return row, f"{place}, column options: {problem}" if problem else ""


def names_subject(question: str, subject: str) -> bool:
    """Whether a question can be understood without a picture: it has the subject's name, or a word of it."""
    words = {word.casefold() for word in re.findall(r"\w+", question)}
    named = [word.casefold() for word in re.findall(r"\w+", subject)]
    return subject.casefold() in question.casefold() or any(len(word) > 2 and word in words for word in named)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _options(value: Any, place: str) -> Sequence[str] | Mapping[str, str]:
    """The options of a cell: a list, an object by letters, JSON of either, or texts between `|`."""
    if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise DataError(f"{place}, column options: {value!r} is not JSON ({error}).") from None
    if value is None or isinstance(value, str):
        return [text.strip() for text in (value or "").split("|") if text.strip()]
    if isinstance(value, Mapping):
        return {str(letter).strip().upper(): _text(text) for letter, text in value.items() if text is not None}
    if isinstance(value, Sequence):
        return [_text(text) for text in value if text is not None]
    raise DataError(f"{place}, column options: {value!r} is no list: write a list, or texts between |.")


def _choices(options: Sequence[str] | Mapping[str, str], answer: str) -> tuple[tuple[str, ...], str, str]:
    """The options in an order that does not tell the right one, the answer in words, and what is wrong with them."""
    texts = list(options.values()) if isinstance(options, Mapping) else list(options)
    if not texts:
        return (), answer, ""
    if answer not in texts:
        letters = list(options) if isinstance(options, Mapping) else [chr(ord("A") + at) for at in range(len(texts))]
        if answer.upper() not in letters:
            return (), answer, f"the answer {answer!r} is none of {', '.join(map(repr, texts))}"
        answer = texts[letters.index(answer.upper())]
    every = set(texts)
    if len(every) < 2:
        return (), answer, "there is no wrong one"
    among = "/".join(sorted(every))
    return tuple(sorted(every, key=lambda text: (rank(0, "option", f"{among}/{text}"), text))), answer, ""
