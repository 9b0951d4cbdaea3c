"""More people of a made-up dataset's hand, whom neither its models nor the one that they began with have met."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lmms_manu.benchmarks.example import Example
from lmms_manu.benchmarks.mllmu.fine_tuning_samples import name_the_person
from lmms_manu.benchmarks.mllmu.prompts import fine_tuning_prompt
from lmms_manu.benchmarks.mllmu.synthetic.drawing import UPRIGHT, draw
from lmms_manu.benchmarks.mllmu.synthetic.population import Person, make_background, make_population
from lmms_manu.benchmarks.mllmu.synthetic.rows import fine_tuning_row

BACKGROUND = 228
"""How many people a base model learns from; the seed of the dataset and 1 draws them."""

_MADE_BY = re.compile(r"Made by `lmms-manu make-dataset --people (\d+) --seed (\d+)`")


def new_people(folder: Path, number: int, modality: str, picture_size: int) -> Sequence[Example]:
    """Fine-tuning examples about people who are new to everybody.

    Args:
        folder: of the dataset.
        number: of the people.
        modality: of the examples.
        picture_size: width and height of the dataset's pictures.

    Returns:
        The examples; empty where another hand made the dataset.
    """
    readme = folder / "README.md"
    made = _MADE_BY.search(readme.read_text(encoding="utf-8", errors="replace")) if readme.is_file() else None
    if made is None:
        return ()
    count, seed = map(int, made.groups())
    return [
        _example(person, pair["Question"], pair["Answer"], modality, picture_size)
        for person in _drawn(count, seed, number)
        for pair in json.loads(fine_tuning_row(person, seed)["metadata"])
    ]


@functools.lru_cache(maxsize=4)
def _drawn(count: int, seed: int, number: int) -> tuple[Person, ...]:
    population = make_population(count, seed)
    met = make_background(population, BACKGROUND, seed + 1)
    known = dataclasses.replace(population, celebrities=(*population.celebrities, *met))
    strangers = make_background(known, number, seed + 2)
    return tuple(dataclasses.replace(one, id=f"new {place + 1}") for place, one in enumerate(strangers))


def _example(person: Person, question: str, answer: str, modality: str, picture_size: int) -> Example:
    if modality == "text":
        worded = name_the_person(question, person.name)
        return Example(person.id, worded, answer, modality, prompt=fine_tuning_prompt(worded, modality))
    return Example(
        person.id,
        question,
        answer,
        modality,
        prompt=fine_tuning_prompt(question, modality),
        pictures=functools.partial(_pictures, person, picture_size),
        digest=functools.partial(_digest, person, picture_size),
    )


def _pictures(person: Person, size: int) -> list[Image.Image]:
    return [Image.fromarray(draw(person, UPRIGHT, size))]


def _digest(person: Person, size: int) -> str:
    return hashlib.sha256(_pictures(person, size)[0].tobytes()).hexdigest()
