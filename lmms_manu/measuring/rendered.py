"""What a model reads while its neurons are measured."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence

from PIL import Image


def _no_pictures() -> list[Image.Image]:
    return []


@dataclasses.dataclass(frozen=True)
class RenderedExample:
    """A question with its answer as one text, rendered for a model, and the pictures that belong to it.

    Args:
        label: names the sample in an error message.
        question: the text up to where the answer starts, with the model's own placeholder for each picture.
        answer: what follows, a blank at its start included.
        pictures: gives the pictures, decoded when called.
        picture_digest: changes when the pictures do; empty without pictures.
        subject: the ID of whom or what it is about; empty if nobody says.
    """

    label: str
    question: str
    answer: str
    pictures: Callable[[], list[Image.Image]] = _no_pictures
    picture_digest: str = ""
    subject: str = ""

    @property
    def text(self) -> str:
        return self.question + self.answer


def digest_of_examples(examples: Sequence[RenderedExample]) -> str:
    """Changes when any text or picture, or their order, does."""
    digest = hashlib.sha256()
    for example in examples:
        for part in (example.question, example.answer, example.picture_digest):
            encoded = part.encode()
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
    return digest.hexdigest()
