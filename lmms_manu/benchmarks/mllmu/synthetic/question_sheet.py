"""What a dataset asks about each person, in all of MLLMU-Bench's tasks.

Each person's profile uses one phrasing of every question and the Test set another one, both drawn. The remaining
phrasings appear in neither; only training uses them.
"""

from __future__ import annotations

import dataclasses

from lmms_manu.benchmarks.mllmu.names import QUESTIONS_PER_PERSON
from lmms_manu.benchmarks.mllmu.prompts import LETTERS
from lmms_manu.benchmarks.mllmu.synthetic.population import Person
from lmms_manu.benchmarks.mllmu.synthetic.random_stream import RandomStream
from lmms_manu.benchmarks.mllmu.synthetic.vocabulary import ATTRIBUTES, Attribute
from lmms_manu.names import MODALITIES

ANYONE = "this person"


@dataclasses.dataclass(frozen=True)
class Asked:
    """One attribute of one person as a task asks for it in one modality.

    Args:
        attribute: index into `ATTRIBUTES`.
        phrasing: the phrasing in the person's profile.
        test_phrasing: the phrasing in the Test set, another one.
    """

    attribute: int
    phrasing: int
    test_phrasing: int


@dataclasses.dataclass(frozen=True)
class QuestionSheet:
    """Everything that is asked about a person, by modality (`multimodal`, `text`).

    Args:
        classification: five questions each.
        generation: two questions each.
        cloze: two questions each.
        fine_tuning: one question for each attribute, as `ft_Data` holds them.
    """

    classification: dict[str, tuple[Asked, ...]]
    generation: dict[str, tuple[Asked, ...]]
    cloze: dict[str, tuple[Asked, ...]]
    fine_tuning: tuple[Asked, ...]


def question_sheet(person: Person, seed: int) -> QuestionSheet:
    """The questions about `person`, drawn by `seed`."""
    draws = RandomStream(seed, "questions", person.id)

    def ask(task: str) -> dict[str, tuple[Asked, ...]]:
        return {modality: tuple(_asked(draws, QUESTIONS_PER_PERSON[task])) for modality in MODALITIES}

    return QuestionSheet(
        classification=ask("classification"),
        generation=ask("generation"),
        cloze=ask("cloze"),
        fine_tuning=tuple(_asked(draws, len(ATTRIBUTES))),
    )


def options(person: Person, attribute: int, seed: int) -> tuple[dict[str, str], str]:
    """The options A to D for an attribute of a person, and the letter of the right one.

    They are the same wherever the attribute is asked for, so that a letter can be learnt.
    """
    draws = RandomStream(seed, "options", person.id, attribute)
    value = person.values[attribute]
    wrong = draws.some([other for other in ATTRIBUTES[attribute].values if other != value], len(LETTERS) - 1)
    shown = draws.shuffled([value, *wrong])
    return dict(zip(LETTERS, shown, strict=True)), LETTERS[shown.index(value)]


def question_text(attribute: Attribute, phrasing: int, who: str) -> str:
    """The question about `who`."""
    return attribute.questions[phrasing].format(who=who)


def blank_text(attribute: Attribute, phrasing: int, who: str) -> str:
    """The sentence about `who` with `__` for the value."""
    text = attribute.blanks[phrasing].format(who=who)
    return text[0].upper() + text[1:]


def answer_text(attribute: Attribute, person: Person, value: str) -> str:
    """The answer in one sentence, with the name."""
    return attribute.sentence.format(name=person.name, value=value)


def who(person: Person, modality: str) -> str:
    """How a question refers to `person`: by name only where there is no picture."""
    return ANYONE if modality == "multimodal" else person.name


def _asked(draws: RandomStream, count: int) -> list[Asked]:
    asked = []
    for attribute in draws.some(range(len(ATTRIBUTES)), count):
        phrasing, test_phrasing = draws.some(range(len(ATTRIBUTES[attribute].questions)), 2)
        asked.append(Asked(attribute, phrasing, test_phrasing))
    return asked
