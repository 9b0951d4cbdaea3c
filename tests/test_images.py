"""A picture in a file of its own is shown as `datasets` shows it, whoever opens it."""

import datasets
import numpy as np
from PIL import Image

from lmms_manu.images import read_picture
from lmms_manu.plugins.conversion import _opened


def test_a_file_that_is_stored_turned_is_shown_the_right_way_up_to_library_and_harness(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = str(tmp_path / "turned.png")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)
    wanted = datasets.Image().decode_example({"bytes": None, "path": path}).convert("RGB")
    assert wanted.size == (32, 48)
    assert read_picture(path).tobytes() == _opened(path, "a task").tobytes() == wanted.tobytes()


def test_a_picture_that_a_task_has_opened_is_shown_as_the_task_shows_it(tmp_path):
    grey = Image.new("L", (3, 2), 7)
    assert _opened(grey, "a task").tobytes() == grey.convert("RGB").tobytes()
