"""Pictures as `datasets` shows them: the way up that their file says, in RGB."""

from __future__ import annotations

import logging
from typing import IO

from PIL import Image
from PIL.ExifTags import Base

from lmms_manu import variables

logger = logging.getLogger(__name__)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each orientation of the EXIF standard that is not the usual one."""

_warned: set[str] = set()
"""The modes that this process has warned of."""


def read_picture(file: str | IO[bytes], label: str = "a picture") -> Image.Image:
    """The picture in a file, the right way up and in RGB; raises whatever Pillow does if it is none.

    Args:
        file: a path or an open file.
        label: what the picture is, for messages.
    """
    with Image.open(file) as opened:
        return shown(opened, label)


def shown(opened: Image.Image, label: str = "a picture") -> Image.Image:
    """A picture that Pillow has opened from a file, the right way up and in RGB; arguments as in `read_picture`."""
    opened.load()  # some formats say the orientation behind the pixels
    turn = _TURNS.get(_orientation(opened))
    picture = in_rgb(opened, label)
    return picture if turn is None else picture.transpose(turn)


def in_rgb(picture: Image.Image, label: str = "a picture") -> Image.Image:
    """A picture as it stands in RGB; warns, once for each kind, where RGB cannot hold its values."""
    if picture.mode == "RGB":
        return picture
    if picture.mode == "F" or picture.mode.startswith("I"):
        _warn_of(picture.mode, label)
    return picture.convert("RGB")


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(Base.Orientation) or 1)
    except Exception:  # Metadata that cannot be read, of which there are many kinds, turns nothing.
        return 1


def _warn_of(mode: str, label: str) -> None:
    """Warns of the first picture of a mode."""
    if mode in _warned or not variables.is_first_process():
        return
    _warned.add(mode)
    kind = "floating-point numbers" if mode == "F" else "more than 8 bits"
    logger.warning(
        "%s has %s a channel (mode %s): as in `datasets`, values are cut off at 0 and 255, which may leave it white or "
        "black. Store such pictures with 8 bits a channel, scaled to 0 to 255.",
        label[:1].upper() + label[1:],
        kind,
        mode,
    )
