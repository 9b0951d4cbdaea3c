"""Pictures: another picture of the same person, the same one disturbed, or the question in the picture.

Only questions with a picture are asked. The last way is that of Gong et al., FigStep (arXiv 2311.05608).
"""

from __future__ import annotations

import contextlib
import functools
import textwrap
import zlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from lmms_manu.attacks.base import Attack, InapplicableError, Target, Variant, reworded
from lmms_manu.benchmarks.example import Example
from lmms_manu.benchmarks.registry import get_benchmark

Picture = Image.Image

ASK_FOR_IT = "Answer the question that is written in the picture."

_CROP, _BLUR, _NOISE, _LIGHT, _DARK, _TURN = 0.8, 0.02, 0.1, 1.5, 0.6, 15
_LINE, _LETTER = 40, 0.06


def cropped(picture: Picture) -> Picture:
    """The middle of a picture, enlarged to its size."""
    width, height = picture.size
    left, top = (round(side * (1 - _CROP) / 2) for side in picture.size)
    return picture.crop((left, top, width - left, height - top)).resize(picture.size, Image.Resampling.BICUBIC)


def blurred(picture: Picture) -> Picture:
    """Blurred by a radius of 2 % of the width."""
    return picture.filter(ImageFilter.GaussianBlur(_BLUR * picture.width))


def noisy(picture: Picture) -> Picture:
    """With normal noise of a tenth of the range, the same each time."""
    values = np.asarray(picture, dtype=np.float64)
    noise = np.random.default_rng(zlib.crc32(picture.tobytes())).normal(scale=255 * _NOISE, size=values.shape)
    return Image.fromarray((values + noise).clip(0, 255).round().astype(np.uint8))


def lit(picture: Picture, factor: float) -> Picture:
    """As bright as `factor` times before."""
    return ImageEnhance.Brightness(picture).enhance(factor)


def turned(picture: Picture) -> Picture:
    """Turned by 15 degrees; the corners are filled with the picture's mean colour."""
    fill = tuple(int(value) for value in np.asarray(picture, dtype=float).mean((0, 1)).round())
    return picture.rotate(_TURN, Image.Resampling.BICUBIC, fillcolor=fill)


def with_text(picture: Picture, text: str) -> Picture:
    """With a text in black on white below it."""
    lines = textwrap.wrap(text, _LINE)
    size = max(8, round(_LETTER * picture.width))
    canvas = Image.new("RGB", (picture.width, picture.height + (len(lines) + 1) * size), "white")
    canvas.paste(picture, (0, 0))
    font = ImageFont.load_default(size)
    ImageDraw.Draw(canvas).multiline_text((size // 2, picture.height + size // 4), "\n".join(lines), "black", font)
    return canvas


DISTURBANCES: Mapping[str, Callable[[Picture], Picture]] = {
    f"cropped to {_CROP:.0%}": cropped,
    f"blurred by {_BLUR:.0%}": blurred,
    f"noise of {_NOISE:.0%}": noisy,
    f"brightness {_LIGHT:.0%}": functools.partial(lit, factor=_LIGHT),
    f"brightness {_DARK:.0%}": functools.partial(lit, factor=_DARK),
    f"turned by {_TURN} degrees": turned,
}


class Pictures(Attack):
    """The attack `pictures`: another picture of the person, disturbed ones, and the question in the picture."""

    name = "pictures"

    def variants(self) -> Mapping[str, Variant]:
        disturbed = {name: functools.partial(_disturbed, how=how) for name, how in DISTURBANCES.items()}
        return {"another picture": _another, **disturbed, "question in the picture": _typeset}


@contextlib.contextmanager
def _disturbed(target: Target, *, how: Callable[[Picture], Picture]) -> Iterator[Target]:
    yield _pictured(target).asking(lambda example: _shown(example, lambda: [how(one) for one in example.pictures()]))


@contextlib.contextmanager
def _another(target: Target) -> Iterator[Target]:
    pictured, settings = _pictured(target), target.data.settings
    benchmark = get_benchmark(settings.benchmark) if settings is not None else None
    subjects = {each.subject for part in pictured.data.forget.values() for each in part}
    others = {subject: benchmark.another_picture(subject) if benchmark else None for subject in sorted(subjects)}
    known = {subject: picture for subject, picture in others.items() if picture is not None}
    if not known:
        raise InapplicableError("the data has no other picture of the people to forget")
    about = {
        modality: [_shown(each, _one(known[each.subject])) for each in part if each.subject in known]
        for modality, part in pictured.data.forget.items()
    }
    yield pictured.about(about)


@contextlib.contextmanager
def _typeset(target: Target) -> Iterator[Target]:
    yield _pictured(target).asking(
        lambda example: _shown(
            reworded(example, ASK_FOR_IT), lambda: [with_text(one, example.question) for one in example.pictures()]
        )
    )


def _pictured(target: Target) -> Target:
    """The target with its questions about a picture alone."""
    asked = {modality: list(part) for modality, part in target.data.forget.items() if modality != "text"}
    if not asked or not target.checkpoint.takes_pictures:
        raise InapplicableError("nothing is asked with a picture")
    return target.about(asked)


def _one(picture: Callable[[], Picture]) -> Callable[[], list[Picture]]:
    return lambda: [picture()]


def _shown(example: Example, pictures: Callable[[], list[Picture]]) -> Example:
    """An example with other pictures."""
    return Example(
        example.subject, example.question, example.answer, example.modality, prompt=example.prompt, pictures=pictures
    )
