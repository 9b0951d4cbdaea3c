"""Small copies of the benchmark's pictures, as data addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

from lmms_manu.errors import DataError
from lmms_manu.mllmu.source import DatasetSource
from lmms_manu.report.samples import Picture

_SIDE = 72


def thumbnails(pictures: Mapping[str, Picture], dataset: str) -> dict[str, str]:
    """JPEG thumbnails by key; a picture that does not decode is left out.

    Args:
        pictures: where the pictures are.
        dataset: the folder or hub name of MLLMU-Bench.

    Raises:
        DataError: the dataset cannot be opened.
    """
    source = DatasetSource.resolve(dataset)
    for config in {picture.config for picture in pictures.values()}:
        source.load(config)
    found = {}
    for key, picture in pictures.items():
        try:
            image = source.image(picture.config, picture.row, picture.index).copy()
        except (DataError, IndexError):
            continue
        image.thumbnail((_SIDE, _SIDE))
        content = io.BytesIO()
        image.save(content, format="JPEG", quality=70)
        found[key] = "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
    return found
