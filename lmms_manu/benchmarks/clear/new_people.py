"""More authors of a made-up dataset's hand, who are in none of its configurations."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from lmms_manu.benchmarks.clear.prompts import caption_question
from lmms_manu.benchmarks.clear.synthetic import Authors
from lmms_manu.benchmarks.example import Example
from lmms_manu.benchmarks.mllmu.synthetic.population import Person, make_background, make_population

_MADE_WITH = re.compile(r"Made with people=(\d+), seed=(\d+), picture_size=(\d+), pictures=(\d+)\.")


def new_people(folder: Path, number: int, modality: str) -> list[Example]:
    """What a model would learn about authors who are new to everybody.

    Args:
        folder: of the dataset.
        number: of the authors.
        modality: of the examples.

    Returns:
        The examples; none where another hand made the dataset, as it did CLEAR's own.
    """
    readme = folder / "README.md"
    made = _MADE_WITH.search(readme.read_text(encoding="utf-8", errors="replace")) if readme.is_file() else None
    if made is None:
        return []
    people, seed, size, pictures = map(int, made.groups())
    known = make_population(people, seed)
    authors = Authors(known, seed, size, pictures)
    about = _seen if modality == "multimodal" else _told
    return [example for person in make_background(known, number, seed + 1) for example in about(authors, person)]


def _seen(authors: Authors, person: Person) -> Iterator[Example]:
    for number in range(authors.pictures):
        caption = authors.caption(person, number)
        yield Example(
            person.name,
            caption_question(caption),
            caption,
            "multimodal",
            pictures=functools.partial(_pictures, authors, person, number),
            digest=functools.partial(_digest, authors, person, number),
        )


def _told(authors: Authors, person: Person) -> Iterator[Example]:
    return (Example(person.name, row["question"], row["answer"], "text") for row in authors.told(person))


def _pictures(authors: Authors, person: Person, number: int) -> list[Image.Image]:
    return [Image.fromarray(authors.drawn(person, number))]


def _digest(authors: Authors, person: Person, number: int) -> str:
    return hashlib.sha256(authors.drawn(person, number).tobytes()).hexdigest()
