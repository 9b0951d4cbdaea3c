"""PNG files by the project's own encoder are read by others, pixel for pixel."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lmms_manu.benchmarks.mllmu.synthetic.png import encode_png


@given(width=st.integers(1, 200), height=st.integers(1, 200), seed=st.integers(0, 9))
def test_pixels_survive_encoding(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels))) as picture:
        assert picture.mode == "RGB"
        assert np.array_equal(np.asarray(picture), pixels)
