"""What a model learned about somebody, as a benchmark hands it to the methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from PIL import Image


def _no_digest() -> str:
    return ""


@dataclasses.dataclass(frozen=True)
class Example:
    """A question about a subject with its answer, in one modality.

    Args:
        subject: the ID of whom or what it is about; intervals and draws go by subject.
        question: the question as it is asked.
        answer: the answer that the model was trained to give.
        modality: "multimodal" or "text".
        prompt: all of the text up to the answer in the form of the benchmark's own fine-tuning, with `<image>` for a
            picture; empty if there is no such form, so that the model's chat template is used.
        pictures: gives the pictures, read now; none in the text modality.
        digest: gives a fingerprint of the pictures as they are stored; empty without a picture.
    """

    subject: str
    question: str
    answer: str
    modality: str
    prompt: str = ""
    pictures: Callable[[], list[Image.Image]] = dataclasses.field(default=list, repr=False)
    digest: Callable[[], str] = dataclasses.field(default=_no_digest, repr=False)

    @property
    def label(self) -> str:
        """Where it comes from, for messages."""
        return f"{self.subject}: {self.question!r}"
