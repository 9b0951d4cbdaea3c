"""Small copies of the benchmarks' pictures, as data addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

from PIL import Image

from lmms_manu.benchmarks.registry import get_benchmark

_SIDE = 72


def thumbnails(pictures: Mapping[str, tuple[str, str]], datasets: Mapping[str, str]) -> dict[str, str]:
    """JPEG thumbnails by key; a picture that does not decode, or of a benchmark without a dataset, is left out.

    Args:
        pictures: by key the benchmark and its word for the picture.
        datasets: the folder or hub name of each benchmark's data.

    Raises:
        DataError: a dataset cannot be opened.
    """
    found = {}
    for benchmark, dataset in datasets.items():
        keys = {reference: key for key, (name, reference) in pictures.items() if name == benchmark}
        for reference, image in get_benchmark(benchmark).pictures(list(keys), dataset):
            found[keys[reference]] = _address(image)
    return found


def _address(image: Image.Image) -> str:
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    small.convert("RGB").save(content, format="JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
