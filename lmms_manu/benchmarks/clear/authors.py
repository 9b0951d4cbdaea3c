"""Whom the rows of CLEAR are about: by the column of names, and where there is none by the order of the questions."""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Mapping, Sequence

from lmms_manu.benchmarks.clear.names import QUESTIONS_PER_AUTHOR, authors_config, text_config
from lmms_manu.benchmarks.clear.source import ClearSource
from lmms_manu.errors import DataError


@dataclasses.dataclass(frozen=True)
class AuthorRows:
    """The rows of each author in one configuration.

    Args:
        rows: row numbers by name, in the order of the rows.
        skipped: what belongs to nobody, and why.
    """

    rows: Mapping[str, Sequence[int]]
    skipped: tuple[str, ...] = ()


@functools.lru_cache(maxsize=64)
def picture_rows(source: ClearSource, config: str) -> AuthorRows:
    """The rows of a configuration that has a column of names.

    Raises:
        DataError: it has none, or nobody in it.
    """
    rows: dict[str, list[int]] = {}
    skipped = []
    for row, name in enumerate(source.column(config, "name")):
        if name and name.strip():
            rows.setdefault(name.strip(), []).append(row)
        else:
            skipped.append(f"{config} row {row}: it has no name")
    if not rows:
        raise DataError(f"{config} of {source} names nobody in its column name.")
    return AuthorRows(rows, tuple(skipped))


@functools.lru_cache(maxsize=64)
def text_rows(source: ClearSource, role: str, ratio: int) -> AuthorRows:
    """The questions as text of the authors to forget or to retain.

    Their configuration has no column of names. It keeps the order of TOFU, in which twenty questions in a row are of
    one author: of the one, among the names of the pictures, whom they mention most often.

    Raises:
        DataError: the questions are no multiple of twenty, so that their order is another one.
    """
    config = text_config(role, ratio)
    names = list(picture_rows(source, authors_config(role, ratio)).rows)
    questions, answers = (source.column(config, column) for column in ("question", "answer"))
    asked = [row for row, question in enumerate(questions) if question]
    if not asked or len(asked) % QUESTIONS_PER_AUTHOR:
        raise DataError(
            f"{config} of {source} has {len(asked)} questions as text. Each author has {QUESTIONS_PER_AUTHOR} in a "
            "row, by which they are known: is the copy whole, and in its order?"
        )
    rows: dict[str, list[int]] = {}
    skipped = []
    for start in range(0, len(asked), QUESTIONS_PER_AUTHOR):
        block = asked[start : start + QUESTIONS_PER_AUTHOR]
        name = most_mentioned([f"{questions[row]} {answers[row]}" for row in block], names)
        if name is None:
            skipped.append(f"{config} rows {block[0]} to {block[-1]}: they mention none of its authors")
        else:
            rows.setdefault(name, []).extend(block)
    return AuthorRows(rows, tuple(skipped))


def most_mentioned(texts: Sequence[str], names: Sequence[str]) -> str | None:
    """The name that most of the texts mention, else the one whose last word most of them do; None if none do."""
    lowered = [text.casefold() for text in texts]
    for form in (str.casefold, _last_word):
        counts = collections.Counter({name: sum(form(name) in text for text in lowered) for name in names})
        ((name, count),) = counts.most_common(1) or [("", 0)]
        if count:
            return name
    return None


def _last_word(name: str) -> str:
    return name.split()[-1].casefold()
