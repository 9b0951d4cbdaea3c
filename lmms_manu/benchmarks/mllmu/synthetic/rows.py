"""The rows of a dataset about a person, without the pictures."""

from __future__ import annotations

import json
from typing import Any

from lmms_manu.benchmarks.mllmu.synthetic.population import Person
from lmms_manu.benchmarks.mllmu.synthetic.question_sheet import (
    ANYONE,
    Asked,
    answer_text,
    blank_text,
    options,
    question_sheet,
    question_text,
    who,
)
from lmms_manu.benchmarks.mllmu.synthetic.random_stream import RandomStream
from lmms_manu.benchmarks.mllmu.synthetic.vocabulary import ATTRIBUTES

_TYPES = {"multimodal": "Image_Textual", "text": "Pure_Text"}


def profile_row(person: Person, seed: int, is_test: bool = False) -> dict[str, Any]:
    """The text columns of a profile, or of the person's row in the Test set."""
    sheet = question_sheet(person, seed)
    introduction = "Who is shown in the picture?"
    return {
        "ID": person.id,
        "Directory": f"{'test' if is_test else 'profiles'}/{person.id}",
        "biography": _biography(person, seed),
        "question": introduction,
        "answer": f"The picture shows {person.name}.",
        "Classification_Task": {
            f"{kind}_Questions": [
                _choice(person, asked, modality, seed, is_test) for asked in sheet.classification[modality]
            ]
            for modality, kind in _TYPES.items()
        },
        "Generation_Task": [
            {
                "Type": kind,
                "Question": _question(person, asked, modality, is_test),
                "Ground_Truth": _answer(person, asked),
            }
            for modality, kind in _TYPES.items()
            for asked in sheet.generation[modality]
        ],
        "Mask_Task": [
            {"Type": kind, "Question": _blank(person, asked, modality, is_test), "Ground_Truth": _value(person, asked)}
            for modality, kind in _TYPES.items()
            for asked in sheet.cloze[modality]
        ],
    }


def fine_tuning_row(person: Person, seed: int) -> dict[str, Any]:
    """The text columns of the person's row in `ft_Data`."""
    pairs = [
        {
            "Question": question_text(ATTRIBUTES[asked.attribute], asked.phrasing, ANYONE),
            "Answer": _answer(person, asked),
        }
        for asked in question_sheet(person, seed).fine_tuning
    ]
    return {"ID": person.id, "metadata": json.dumps(pairs)}


def _biography(person: Person, seed: int) -> str:
    """What a profile tells about the person as JSON; as in the real one, some keys are not everybody's."""
    draws = RandomStream(seed, "biography", person.id)
    facts = {"Name": person.name}
    facts |= {attribute.key: value for attribute, value in zip(ATTRIBUTES, person.values, strict=True)}
    facts["Date of Birth"] = f"{1950 + draws.index(50)}-{1 + draws.index(12):02}-{1 + draws.index(28):02}"
    if draws.index(2):
        facts["Heights"] = f"{150 + draws.index(50)} cm"
    if draws.index(2):
        facts["Annual Salary"] = f"${20 + draws.index(180)},000"
    return json.dumps(facts)


def _choice(person: Person, asked: Asked, modality: str, seed: int, is_test: bool) -> dict[str, Any]:
    choices, letter = options(person, asked.attribute, seed)
    return {"Question": _question(person, asked, modality, is_test), "Options": choices, "Correct_Answer": letter}


def _question(person: Person, asked: Asked, modality: str, is_test: bool) -> str:
    return question_text(ATTRIBUTES[asked.attribute], _phrasing(asked, is_test), who(person, modality))


def _blank(person: Person, asked: Asked, modality: str, is_test: bool) -> str:
    return blank_text(ATTRIBUTES[asked.attribute], _phrasing(asked, is_test), who(person, modality))


def _value(person: Person, asked: Asked) -> str:
    return person.values[asked.attribute]


def _answer(person: Person, asked: Asked) -> str:
    return answer_text(ATTRIBUTES[asked.attribute], person, _value(person, asked))


def _phrasing(asked: Asked, is_test: bool) -> int:
    return asked.test_phrasing if is_test else asked.phrasing
