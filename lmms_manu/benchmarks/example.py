"""What a model learned about somebody, as a benchmark or a user hands it to the methods."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from lmms_manu.errors import DataError, one_of
from lmms_manu.images import read_picture, shown
from lmms_manu.names import MODALITIES

Picture = Image.Image | str | os.PathLike[str]
"""A picture, or the path of its file."""


def _no_digest() -> str:
    return ""


@dataclasses.dataclass(frozen=True)
class Example:
    """A question about a subject with its answer, in one modality.

    Args:
        subject: the ID of whom or what it is about; intervals and draws go by subject.
        question: the question as it is asked.
        answer: the answer that the model was trained to give.
        modality: "multimodal" or "text"; if left out, what `image` says.
        prompt: all of the text up to the answer in the form of the benchmark's own fine-tuning, with `<image>` for a
            picture; empty if there is no such form, so that the model's chat template is used.
        pictures: gives the pictures, read now; none in the text modality.
        digest: gives a fingerprint of the pictures as they are stored; empty without a picture.
        image: a picture or its file, in place of `pictures` and `digest`.

    Raises:
        DataError: there is no such file.
        SettingError: there is no such modality.

    Example:
        >>> from PIL import Image
        >>> seen = Example("anna", "Who is this?", "Anna.", image=Image.new("RGB", (32, 32), "red"))
        >>> told = Example(subject="anna", question="Where does Anna live?", answer="In Oslo.")
        >>> seen.modality, told.modality
        ('multimodal', 'text')
    """

    subject: str
    question: str
    answer: str
    modality: str = ""
    prompt: str = ""
    pictures: Callable[[], list[Image.Image]] = dataclasses.field(default=list, repr=False)
    digest: Callable[[], str] = dataclasses.field(default=_no_digest, repr=False)
    image: dataclasses.InitVar[Picture | None] = None

    def __post_init__(self, image: Picture | None) -> None:
        if image is not None:
            if not isinstance(image, Image.Image) and not Path(image).is_file():
                raise DataError(f"image={os.fspath(image)!r} of {self.label}: there is no such file.")
            object.__setattr__(self, "pictures", opened(image))
            object.__setattr__(self, "digest", functools.partial(_digest, image))
        if not self.modality:
            object.__setattr__(self, "modality", "text" if image is None else "multimodal")
        if self.modality not in MODALITIES:
            raise one_of("modality", self.modality, MODALITIES)

    @property
    def label(self) -> str:
        """Where it comes from, for messages."""
        return f"{self.subject}: {self.question!r}"


def opened(image: Picture) -> Callable[[], list[Image.Image]]:
    """What gives the picture as a list of one, the right way up and in RGB, read when it is called."""
    return functools.partial(_open, image)


def _open(image: Picture) -> list[Image.Image]:
    return [shown(image) if isinstance(image, Image.Image) else read_picture(os.fspath(image))]


def _digest(image: Picture) -> str:
    if not isinstance(image, Image.Image):
        return hashlib.sha256(Path(image).read_bytes()).hexdigest()
    return hashlib.sha256(f"{image.mode} {image.size}\n".encode() + image.tobytes()).hexdigest()
