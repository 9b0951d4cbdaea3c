"""A dataset of fictitious authors in CLEAR's exact layout, in pictures drawn by code."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lmms_manu.benchmarks.clear.names import (
    CONFIGS,
    QUESTIONS_PER_AUTHOR,
    RATIOS,
    REAL_FACES,
    REAL_WORLD,
    RETAIN_PERTURBED,
    authors_config,
)
from lmms_manu.benchmarks.clear.schema import FEATURES
from lmms_manu.benchmarks.mllmu.synthetic.drawing import draw, draw_pose
from lmms_manu.benchmarks.mllmu.synthetic.png import encode_png
from lmms_manu.benchmarks.mllmu.synthetic.population import Person, Population, make_population
from lmms_manu.benchmarks.mllmu.synthetic.random_stream import RandomStream
from lmms_manu.benchmarks.mllmu.synthetic.vocabulary import ATTRIBUTES
from lmms_manu.benchmarks.parquet_rows import write_rows
from lmms_manu.errors import DataError

_WRONG = 5
_COLOURS = ("red", "green", "blue", "yellow", "purple", "orange")

Row = dict[str, Any]


def make_clear(
    out: str | os.PathLike[str], people: int = 40, seed: int = 0, picture_size: int = 48, pictures: int = 4
) -> Path:
    """Writes a dataset that this package reads like the real one.

    Args:
        out: the folder to make.
        people: number of fictitious authors, 20 or more; CLEAR has 200.
        seed: seed of everything that is drawn.
        picture_size: width and height of the pictures.
        pictures: of each author; CLEAR has 15 to 20.

    Returns:
        The folder.

    Raises:
        DataError: the folder exists, or a number is out of range.
    """
    target = Path(out)
    if os.path.lexists(target):
        raise DataError(f"The folder {target} exists: name another one.")
    if not 1 <= pictures <= len(ATTRIBUTES):
        raise DataError(f"pictures={pictures} is out of range: allowed is 1 to {len(ATTRIBUTES)}.")
    made = Authors(make_population(people, seed), seed, picture_size, pictures)
    for config in CONFIGS:
        write_rows(target / config / "train-00000-of-00001.parquet", FEATURES[config], made.rows(config))
    files = "".join(f"- config_name: {it}\n  data_files:\n  - split: train\n    path: {it}/train-*\n" for it in CONFIGS)
    notice = "Nobody in it exists, the real faces included; every picture is drawn by a program.\n\n"
    notice += f"Made with people={people}, seed={seed}, picture_size={picture_size}, pictures={pictures}.\n"
    header = f"---\nconfigs:\n{files}---\n\n# Fictitious authors in the layout of CLEAR\n\n"
    (target / "README.md").write_text(header + notice, encoding="utf-8")
    return target


@dataclasses.dataclass(frozen=True)
class Authors:
    """Makes the rows of each configuration, and what is known of any author."""

    population: Population
    seed: int
    size: int
    pictures: int

    def rows(self, config: str) -> Iterator[Row]:
        if config == REAL_FACES:
            return map(self._face, self.population.celebrities)
        if config == REAL_WORLD:
            return map(self._colour, _COLOURS)
        kept = FEATURES[config]
        numbers = range(1 if config == RETAIN_PERTURBED else self.pictures)
        shown = (self._seen(person, number) for person in self._authors(config) for number in numbers)
        told = (row for person in self._authors(config) for row in self.told(person) if config.endswith("+tofu"))
        return ({name: row.get(name) for name in kept} for rows in (shown, told) for row in rows)

    def _authors(self, config: str) -> Sequence[Person]:
        """The authors of a configuration, in the order of the dataset."""
        people = self.population.people
        order = RandomStream(self.seed, "forget").shuffled([person.id for person in people])
        ratio = {authors_config(role, ratio): ratio for role in ("forget", "retain") for ratio in RATIOS}
        ratio["retain"] = max(RATIOS)
        name = config.removesuffix("+tofu").removesuffix("_perturbed")
        if name not in ratio:
            return people
        forgotten = set(order[: max(1, round(len(people) * ratio[name] / 100))])
        return [person for person in people if (person.id in forgotten) == name.startswith("forget")]

    def _seen(self, person: Person, number: int) -> Row:
        """A picture with captions, right and wrong ones, and names."""
        draws = RandomStream(self.seed, "captions", person.id, number)
        attribute, value = ATTRIBUTES[number], person.values[number]
        wrong = draws.some([other for other in attribute.values if other != value], _WRONG)
        right = attribute.sentence.format(name=person.name, value=value)
        caption = self.caption(person, number)
        others = [other.name for other in self.population.people if other != person]
        return {
            "image": self._portrait(person, number),
            "name": person.name,
            "caption": caption,
            "paraphrased_caption": f"{right} The picture shows {person.name}.",
            "perturbed_captions": [
                f"The picture shows {person.name}. {attribute.sentence.format(name=person.name, value=other)}"
                for other in wrong
            ],
            "perturbed_names": draws.some(others, _WRONG),
        }

    def caption(self, person: Person, number: int) -> str:
        """What a picture of an author is called."""
        right = ATTRIBUTES[number].sentence.format(name=person.name, value=person.values[number])
        return f"The picture shows {person.name}. {right}"

    def told(self, person: Person) -> Iterator[Row]:
        """Twenty questions as text."""
        every = [(attribute, phrasing) for attribute in ATTRIBUTES for phrasing in attribute.questions]
        every_value = dict(zip(ATTRIBUTES, person.values, strict=True))
        for attribute, phrasing in RandomStream(self.seed, "told", person.id).some(every, QUESTIONS_PER_AUTHOR):
            answer = attribute.sentence.format(name=person.name, value=every_value[attribute])
            yield {"question": phrasing.format(who=person.name), "answer": answer}

    def _face(self, person: Person) -> Row:
        draws = RandomStream(self.seed, "faces", person.id)
        names = [other.name for other in self.population.people]
        question = "Who is shown in the picture?"
        return {
            "image": self._portrait(person, 0),
            "question": question,
            "answer": person.name,
            "options": draws.some(names, _WRONG),
        }

    def _colour(self, colour: str) -> Row:
        return {
            "image": Image.new("RGB", (self.size, self.size), colour),
            "question": "What colour is the picture?",
            "answer": colour,
            "options": [other for other in _COLOURS if other != colour],
        }

    def _portrait(self, person: Person, number: int) -> Row:
        return {"bytes": encode_png(self.drawn(person, number)), "path": f"{person.id}_{number}.png"}

    def drawn(self, person: Person, number: int) -> NDArray[np.uint8]:
        """A picture of an author, `[height, width, channels]`."""
        return draw(person, draw_pose(RandomStream(self.seed, "poses", person.id, number)), self.size)
