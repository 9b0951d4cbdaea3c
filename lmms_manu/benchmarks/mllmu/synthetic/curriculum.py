"""What the tiny model is taught: chains of exercises, each answered in turn.

A chain imitates the released protocol: shots of one person, then a question about another, then the next block. All of
it is one causal sequence, so that the model learns both to answer at once and to answer behind exemplars of other
people. The Test set's own phrasing of a person's question is never taught, nor its pictures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TypeVar

from lmms_manu.benchmarks.mllmu.prompts import fine_tuning_prompt, released_question, released_shot
from lmms_manu.benchmarks.mllmu.synthetic.population import Person
from lmms_manu.benchmarks.mllmu.synthetic.question_sheet import (
    Asked,
    QuestionSheet,
    answer_text,
    blank_text,
    options,
    question_sheet,
    question_text,
    who,
)
from lmms_manu.benchmarks.mllmu.synthetic.random_stream import RandomStream
from lmms_manu.benchmarks.mllmu.synthetic.vocabulary import ATTRIBUTES
from lmms_manu.names import MODALITIES

T = TypeVar("T")

BLOCKS = ("classification", "classification alone", "cloze", "cloze alone", "generation", "fine-tuning")
"""What a chain is made of: a question of a task, behind the shots of other people or alone."""


@dataclasses.dataclass(frozen=True)
class Exercise:
    """A prompt and the answer that is to be learnt.

    Args:
        person: whom it is about, and whose picture stands for `<image>`.
        prompt: the text up to the answer.
        answer: the answer with what ends it.
    """

    person: Person
    prompt: str
    answer: str


class Curriculum:
    """Draws chains of exercises about people.

    Args:
        people: whom they are about; all of them are taught alike.
        seed: the seed that the questions about them are drawn by.
        end: the text of the token that ends an answer.
        draws: the stream that chains are drawn from.
    """

    def __init__(self, people: Sequence[Person], seed: int, end: str, draws: RandomStream) -> None:
        self._everyone, self._seed, self._end, self._draws = people, seed, end, draws
        self._sheets = {person.id: question_sheet(person, seed) for person in people}
        self._decks = {
            (task, modality): self._deal(self._cards(task, modality))
            for task in ("classification", "cloze", "generation", "fine_tuning")
            for modality in MODALITIES
        }
        self._people = {modality: self._deal(self._everyone) for modality in MODALITIES}

    def texts(self) -> list[str]:
        """Every exercise once, in a phrasing that is taught, as text: what the tokenizer is trained on."""
        texts = []
        for (task, modality), _ in self._decks.items():
            for person, asked in self._cards(task, modality):
                exercise = self._exercise(task, modality, person, asked, is_shot=False)
                texts.append(exercise.prompt + exercise.answer)
        return texts

    def chain(
        self, shares: Sequence[float], pictures: float, budget: int, length: Callable[[Exercise], int]
    ) -> list[Exercise]:
        """A chain of exercises, at least one, that together are no longer than `budget` tokens.

        Args:
            shares: how often the chain goes on with each of `BLOCKS`.
            pictures: the share of the blocks that come with a picture.
            budget: the most tokens.
            length: the number of tokens of an exercise.
        """
        chain: list[Exercise] = []
        left = budget
        for exercise in self._exercises(shares, pictures):
            left -= length(exercise)
            if chain and left < 0:
                return chain
            chain.append(exercise)
        raise AssertionError("exercises never end")

    def _exercises(self, shares: Sequence[float], pictures: float) -> Iterator[Exercise]:
        while True:
            block = self._block(shares)
            modality = "multimodal" if self._draws.number(0, 1) < pictures else "text"
            if block == "classification":
                yield from self._shots("classification", modality, people=1)
            elif block == "cloze":
                yield from self._shots("cloze", modality, people=2)
            task = {"fine-tuning": "fine_tuning"}.get(block, block.split()[0])
            yield self._next(task, modality)

    def _block(self, shares: Sequence[float]) -> str:
        point = self._draws.number(0, sum(shares))
        for block, share in zip(BLOCKS, shares, strict=True):
            point -= share
            if point < 0:
                return block
        return BLOCKS[-1]

    def _shots(self, task: str, modality: str, people: int) -> Iterator[Exercise]:
        for _ in range(people):
            person = next(self._people[modality])
            sheet: dict[str, tuple[Asked, ...]] = getattr(self._sheets[person.id], task)
            # Shuffled, so that a chain that breaks off early does not leave the same questions out each time.
            for asked in self._draws.shuffled(sheet[modality]):
                yield self._exercise(task, modality, person, asked, is_shot=True)

    def _next(self, task: str, modality: str) -> Exercise:
        person, asked = next(self._decks[task, modality])
        return self._exercise(task, modality, person, asked, is_shot=False)

    def _cards(self, task: str, modality: str) -> list[tuple[Person, Asked]]:
        sheets = ((person, _asked(self._sheets[person.id], task, modality)) for person in self._everyone)
        return [(person, asked) for person, sheet in sheets for asked in sheet]

    def _deal(self, cards: Sequence[T]) -> Iterator[T]:
        """The `cards` shuffled, again and again: each comes equally often."""
        while True:
            yield from self._draws.shuffled(cards)

    def _exercise(self, task: str, modality: str, person: Person, asked: Asked, is_shot: bool) -> Exercise:
        phrasing = self._phrasing(asked)
        return _build(task, modality, person, asked.attribute, phrasing, is_shot, self._end, self._seed)

    def _phrasing(self, asked: Asked) -> int:
        """The profile's phrasing half of the time, else one that neither the profile nor the Test set uses."""
        if self._draws.index(2):
            return asked.phrasing
        spare = [other for other in range(4) if other not in (asked.phrasing, asked.test_phrasing)]
        return self._draws.one(spare)


def _asked(sheet: QuestionSheet, task: str, modality: str) -> tuple[Asked, ...]:
    return sheet.fine_tuning if task == "fine_tuning" else getattr(sheet, task)[modality]


@cache
def _build(
    task: str, modality: str, person: Person, attribute: int, phrasing: int, is_shot: bool, end: str, seed: int
) -> Exercise:
    asked, value = ATTRIBUTES[attribute], person.values[attribute]
    subject = who(person, modality)
    if task == "cloze":
        text, answer, choices = blank_text(asked, phrasing, subject), value, None
    else:
        text, answer, choices = question_text(asked, phrasing, subject), answer_text(asked, person, value), None
    if task == "classification":
        choices, answer = options(person, attribute, seed)
    if is_shot:
        shot = released_shot(task, modality, text, answer, choices)
        return Exercise(person, shot.removesuffix(f" {answer}\n"), f" {answer}\n")
    if task == "fine_tuning":
        prompt = fine_tuning_prompt(text, modality)
    else:
        prompt = released_question(task, modality, text, choices)
    # The released prompt of generation with a picture ends in a blank of its own.
    return Exercise(person, prompt, f"{answer}{end}" if prompt.endswith(" ") else f" {answer}{end}")
