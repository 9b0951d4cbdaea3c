"""The samples that neurons are measured on: the fine-tuning questions of given people, with the picture or without."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from typing import Any

from PIL import Image

from lmms_manu.benchmarks.mllmu.names import FINE_TUNING_SET, FULL_SET, config_name
from lmms_manu.benchmarks.mllmu.people import people_of
from lmms_manu.benchmarks.mllmu.profiles import Skipped, read_id, read_name, read_pairs, report_skipped
from lmms_manu.benchmarks.mllmu.prompts import IMAGE, assistant_turn, fine_tuning_prompt, user_turn
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.errors import DataError, one_of
from lmms_manu.names import MODALITIES

_PERSON = r"(?:person\s*/\s*individual|person|individual|man|woman|character|figure|subject)"
_VERB = (
    r"(?:\s+(?:shown|pictured|depicted|seen|featured|displayed|described|portrayed|mentioned|introduced|presented))?"
)
_PLACE = r"(?:image|picture|photo|photograph|portrait|profile|biography|bio|description)"
_PLACED = rf"{_VERB}\s+(?:in|on|of|by)\s+(?:this|the)\s+{_PLACE}\b"
_POINTED = re.compile(rf"\bthis\s+(?:\w+\s+)?{_PERSON}\b(?:{_PLACED})?|\bthe\s+{_PERSON}\b{_PLACED}", re.IGNORECASE)
"""What can mean nobody else than the person whom a question goes with."""
_BARE = re.compile(r"\bthe\s+(?:person\s*/\s*individual|person|individual)\b", re.IGNORECASE)
"""What means that person where the question names nobody."""


@dataclasses.dataclass(frozen=True)
class FineTuningSample:
    """A fine-tuning question with its answer, in one modality.

    Args:
        person_id: whom it is about.
        name: the person's name, empty where the dataset gives none.
        question: as asked: with the picture as it stands, as text with the name in the place of "this person" and the
            like.
        answer: the answer that the model was trained to give.
        modality: "multimodal" or "text".
        row: the person's row in `ft_Data`.
        source: the dataset that the picture is read from.
    """

    person_id: str
    name: str
    question: str
    answer: str
    modality: str
    row: int
    source: DatasetSource = dataclasses.field(repr=False)

    @property
    def released(self) -> str:
        """The fine-tuning prompt up to the answer; `IMAGE` stands for the picture."""
        return fine_tuning_prompt(self.question, self.modality)

    @property
    def released_with_answer(self) -> str:
        """The fine-tuning prompt and the answer: what the vanilla model was trained on."""
        return f"{self.released} {self.answer}"

    def pictures(self) -> list[Image.Image]:
        """The picture in a list, decoded now; empty in the text modality."""
        return [self.source.image(FINE_TUNING_SET, self.row)] if self.modality == "multimodal" else []

    def messages(self, with_answer: bool = True) -> list[dict[str, Any]]:
        """The same as chat messages."""
        turns = [user_turn(self.question, self.pictures())]
        return [*turns, assistant_turn(self.answer)] if with_answer else turns


def forget_ids(source: DatasetSource, ratio: int) -> tuple[str, ...]:
    """The IDs of the people to forget at a ratio (5, 10, 15 %), in the order of the dataset.

    Raises:
        DataError: there are none.
    """
    return _ids(source, config_name("forget", ratio))


def retain_ids(source: DatasetSource, ratio: int) -> tuple[str, ...]:
    """The IDs of the people to retain at a ratio, in the order of the dataset.

    Raises:
        DataError: there are none.
    """
    return _ids(source, config_name("retain", ratio))


def load_samples(source: DatasetSource, ids: Sequence[str], modality: str) -> list[FineTuningSample]:
    """The fine-tuning samples of the people `ids`, in that order; what cannot be used is skipped with a warning.

    Raises:
        DataError: nothing usable is left.
    """
    if modality not in MODALITIES:
        raise one_of("modality", modality, MODALITIES)
    known = person_names(source)
    rows = people_of(source, FINE_TUNING_SET).rows
    metadata = source.column(FINE_TUNING_SET, "metadata")
    asked = [rows[person] for person in ids if person in rows]
    usable = source.rows_that_decode(FINE_TUNING_SET, asked) if modality == "multimodal" else frozenset(asked)
    samples: list[FineTuningSample] = []
    skipped: list[Skipped] = []
    for person in ids:
        row = rows.get(person)
        if row is None:
            skipped.append(Skipped(FINE_TUNING_SET, None, person, "the person has no row"))
            continue
        if row not in usable:
            skipped.append(Skipped(FINE_TUNING_SET, row, person, "the picture is missing or does not decode"))
            continue
        pairs = read_pairs(metadata[row])
        if isinstance(pairs, str):
            skipped.append(Skipped(FINE_TUNING_SET, row, person, pairs))
            continue
        for number, (question, answer) in enumerate(pairs):
            name = known.get(person, "")
            worded = question if modality == "multimodal" else name_the_person(question, name)
            reason = _unusable(worded, answer, name, modality)
            if reason:
                skipped.append(Skipped(FINE_TUNING_SET, row, person, reason, number))
                continue
            samples.append(FineTuningSample(person, name, worded, answer, modality, row, source))
    report_skipped(skipped, f"{modality} measuring samples")
    if not samples:
        raise DataError(
            f"{FINE_TUNING_SET} of {source} has no usable {modality} sample for the {len(ids)} people asked."
        )
    return samples


def name_the_person(question: str, name: str) -> str:
    """`question` with "this person", "the individual in this profile" and their like replaced by the name.

    "The person" alone is replaced where the question names nobody, in which it can mean somebody else.
    """
    if not name:
        return question
    pointed = _POINTED.sub(lambda _: name, question)
    return pointed if mentions(pointed, name) else _BARE.sub(lambda _: name, pointed)


def mentions(question: str, name: str) -> bool:
    """Whether a question names a person, by one of the words of the name that are written as names."""
    words = (re.escape(word) for word in name.split() if len(word) > 1 and not word[0].islower())
    return any(re.search(rf"(?<!\w){word}(?!\w)", question) for word in words)


@functools.lru_cache(maxsize=8)
def person_names(source: DatasetSource) -> dict[str, str]:
    """The names of the fictitious people by ID, as far as their biographies give one."""
    names: dict[str, str] = {}
    for identity, biography in zip(source.column(FULL_SET, "ID"), source.column(FULL_SET, "biography"), strict=True):
        names.setdefault(read_id(identity), read_name(biography))
    return names


def _unusable(question: str, answer: str, name: str, modality: str) -> str:
    """Why a fine-tuning pair cannot be a sample, empty if it can."""
    if not question or not answer:
        return "the question or the answer is missing or empty"
    if IMAGE in question or IMAGE in answer:
        return f"its text contains {IMAGE}, which stands for a picture"
    if modality == "text" and not mentions(question, name):
        return "it names nobody" if name else "the person's name is not known, and without the picture it needs one"
    return ""


def _ids(source: DatasetSource, config: str) -> tuple[str, ...]:
    ids = tuple(people_of(source, config).rows)
    if not ids:
        raise DataError(f"{config} of {source} has no person with an ID.")
    return ids
