"""A question that a run was asked, read back from the harness's samples file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

Score = tuple[float, float]
"""Points and the points possible; a task's number is the ratio of their sums."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One question of one run.

    Args:
        key: what tells the question apart from the others of its task, the same in every run.
        person: the ID of whom it is about; the key itself where a benchmark knows no people; empty if it was left out.
        question: the text that was asked, with its options.
        target: the right answer.
        response: what the model answered.
        scores: for each metric the points and the points possible; a metric without a score is missing.
        picture: where its picture is, in words that its benchmark understands; empty without one.
        edit: the fingerprint of the edit that the model was given, None for a model as it was.
        unjudged: whether a judge was to score it and did not.
        prompt_tokens: how long the prompt was, None where the harness did not say.
    """

    key: str
    person: str
    question: str
    target: str
    response: str
    scores: Mapping[str, Score]
    picture: str = ""
    edit: str | None = None
    unjudged: bool = False
    prompt_tokens: int | None = None

    @property
    def is_scored(self) -> bool:
        """Whether it counts: a question that was left out for its broken picture tells of nobody and of no edit."""
        return bool(self.person)


def prompt_tokens_of(line: Mapping[str, Any]) -> int | None:
    """How many tokens the prompt of a line of a samples file had, None where the line does not say."""
    counts = line.get("token_counts")
    first = counts[0] if isinstance(counts, list) and counts else None
    tokens = first.get("input_tokens") if isinstance(first, Mapping) else None
    return tokens if isinstance(tokens, int) else None


def text_of(value: Any) -> str:
    """A value of a samples file as text: nothing for None, a line for each entry of a list."""
    if isinstance(value, list):
        return "\n".join(map(text_of, value))
    return "" if value is None else str(value)
