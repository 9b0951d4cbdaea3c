"""The people of a split, and the rows that speak of them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping

from lmms_manu.benchmarks.mllmu.exemplars import ProtocolSettings, choose_exemplars
from lmms_manu.benchmarks.mllmu.names import (
    CELEBRITY_SET,
    DEFAULT_RATIO,
    FULL_SET,
    QUESTIONS_PER_PERSON,
    TEST_SET,
    Leaf,
    config_name,
)
from lmms_manu.benchmarks.mllmu.profiles import Question, Skipped, question_field, read_id, read_questions
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.errors import DataError
from lmms_manu.names import MODALITIES


@dataclasses.dataclass(frozen=True)
class People:
    """The people of a configuration.

    Args:
        config: the configuration.
        rows: the row of each person by ID, in the order of the dataset.
        skipped: rows without an ID or with one that stood in an earlier row; `questions` is 0 in these.
    """

    config: str
    rows: Mapping[str, int]
    skipped: tuple[Skipped, ...]


@functools.lru_cache(maxsize=64)
def people_of(source: DatasetSource, config: str) -> People:
    """Everyone in a configuration.

    Raises:
        DataError: the configuration has no IDs.
    """
    columns = source.texts(config).column_names
    if "ID" not in columns:
        raise DataError(f"{config} of {source} has no column ID: it has {', '.join(columns)}.")
    rows: dict[str, int] = {}
    skipped: list[Skipped] = []
    for row, identity in enumerate(source.column(config, "ID")):
        person = read_id(identity)
        if not person:
            skipped.append(Skipped(config, row, "", "the row has no ID", questions=0))
        elif person in rows:
            skipped.append(Skipped(config, row, person, f"the ID stands in row {rows[person]} already", questions=0))
        else:
            rows[person] = row
    return People(config, rows, tuple(skipped))


def people_of_leaf(source: DatasetSource, leaf: Leaf) -> People:
    """Those whom a leaf asks about, and what its rows lose of its questions.

    The Test split is the rows of the Test set that speak of the people to forget.

    Raises:
        DataError: there is nobody.
    """
    config = config_name(leaf.split, leaf.ratio or DEFAULT_RATIO)
    lost = QUESTIONS_PER_PERSON[leaf.task]
    everyone = people_of(source, config)
    rows, skipped = dict(everyone.rows), [*everyone.skipped]
    if leaf.split == "test":
        wanted = people_of(source, config_name("forget", leaf.ratio or DEFAULT_RATIO))
        rows = {person: everyone.rows[person] for person in wanted.rows if person in everyone.rows}
        missing = [person for person in wanted.rows if person not in everyone.rows]
        skipped = [item for item in everyone.skipped if item.person in wanted.rows]
        skipped += [
            Skipped(TEST_SET, None, person, f"{wanted.config} has the person, but not it") for person in missing
        ]
    if not rows:
        raise DataError(f"{leaf.name} has nobody to ask about: {config} of {source} has no person of its split.")
    return People(config, rows, tuple(dataclasses.replace(item, questions=lost) for item in skipped))


@functools.lru_cache(maxsize=64)
def exemplar_people(source: DatasetSource, leaf: Leaf, settings: ProtocolSettings) -> tuple[str, ...]:
    """The IDs of a leaf's exemplar people in the order of their rows; the same for both modalities.

    They are people of the split whom the profiles give a picture and a usable question in either modality. The rule
    chooses them; they are shown in the order of the rows that they are looked up in, as the released script does.
    """
    people = people_of_leaf(source, leaf)
    count = settings.exemplar_people(leaf.split, leaf.task, len(people.rows))
    if not count:
        return ()
    config = exemplar_config(leaf.split)
    rows = people_of(source, config).rows
    readings = [readings_of(source, config, leaf.task, modality) for modality in MODALITIES]
    usable = [
        person
        for person in people.rows
        if person in rows and all(_usable(readings_in_one[rows[person]]) for readings_in_one in readings)
    ]
    ordered = choose_exemplars(usable, leaf.task, len(usable), settings.seed)
    chosen = itertools.islice((person for person in ordered if source.decodes(config, rows[person])), count)
    return tuple(sorted(chosen, key=rows.__getitem__))


def exemplar_config(split: str) -> str:
    """The configuration that exemplars are looked up in: the celebrities' own, else the full set."""
    return CELEBRITY_SET if split == "celebrity" else FULL_SET


def readings_of(source: DatasetSource, config: str, task: str, modality: str) -> list[tuple[Question | Skipped, ...]]:
    """For every row of a configuration its questions in one task and modality, the unusable ones as `Skipped`."""
    field = question_field(task)
    columns = zip(source.column(config, "ID"), source.column(config, field), strict=True)
    return [
        tuple(read_questions({"ID": identity, field: value}, task, modality, config, row))
        for row, (identity, value) in enumerate(columns)
    ]


def questions_of(source: DatasetSource, config: str, row: int, task: str, modality: str) -> tuple[Question, ...]:
    """The usable questions of one row in one task and modality."""
    return _usable(read_questions(source.texts(config)[row], task, modality, config, row))


def _usable(readings: Iterable[Question | Skipped]) -> tuple[Question, ...]:
    return tuple(reading for reading in readings if isinstance(reading, Question))
