"""Pictures are read from where they lie, and told from what only begins like one."""

import io

import numpy as np
import pyarrow
import pytest
from PIL import Image

from lmms_manu.mllmu.pictures import EncodedPicture


def encoded(content):
    return EncodedPicture(pyarrow.py_buffer(content), None)


def decodes(picture):
    try:
        picture.decode()
    except Exception:
        return False
    return True


@pytest.mark.parametrize(
    ("form", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {}), ("GIF", {}), ("BMP", {}), ("TIFF", {})],
)
def test_a_picture_is_whole_where_it_decodes_wherever_it_is_cut_off(form, options):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    content = file.getvalue()
    assert encoded(content).is_whole()
    cuts = {*range(0, len(content), len(content) // 40), *range(len(content) - 12, len(content))}
    verdicts = {cut: (encoded(content[:cut]).is_whole(), decodes(encoded(content[:cut]))) for cut in cuts}
    assert all(whole == decoded for whole, decoded in verdicts.values()), verdicts
    assert not all(whole for whole, _ in verdicts.values())


def test_a_picture_that_is_nowhere_is_not_whole():
    assert not EncodedPicture(None, None).is_whole()
    assert not EncodedPicture(None, "/no/where.png").is_whole()
