"""Pictures as a model takes them, each distinct one prepared once."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterable, Mapping

import numpy as np
import torch
import xxhash
from PIL import Image

KEEP_BYTES = 512 * 2**20


@dataclasses.dataclass(frozen=True)
class PreparedPicture:
    """One picture, ready to be put into a batch.

    Args:
        digest: tells pictures of different content apart.
        ids: int32 `[tokens]`, what takes the place of its placeholder in a prompt.
        inputs: the model's inputs for it.
    """

    digest: bytes
    ids: np.ndarray
    inputs: Mapping[str, torch.Tensor]

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return bytes_of(self.inputs.values())


class PictureCache:
    """Keeps the pictures used last, up to a number of bytes.

    Args:
        keep_bytes: how much memory to use.
    """

    def __init__(self, keep_bytes: int = KEEP_BYTES) -> None:
        self._keep_bytes = keep_bytes
        self._pictures: OrderedDict[bytes, PreparedPicture] = OrderedDict()
        self._bytes = 0

    def find(self, digest: bytes) -> PreparedPicture | None:
        """The picture with this digest, if it is still kept."""
        known = self._pictures.get(digest)
        if known is not None:
            self._pictures.move_to_end(digest)
        return known

    def keep(self, picture: PreparedPicture) -> None:
        """Keeps a picture; those that were used longest ago make room for it."""
        self._pictures[picture.digest] = picture
        self._bytes += picture.size
        while self._bytes > self._keep_bytes and len(self._pictures) > 1:
            self._bytes -= self._pictures.popitem(last=False)[1].size

    def clear(self) -> None:
        self._pictures.clear()
        self._bytes = 0


def bytes_of(inputs: Iterable[object]) -> int:
    """How much memory the tensors among `inputs` take."""
    return sum(value.numel() * value.element_size() for value in inputs if isinstance(value, torch.Tensor))


def digest_of(picture: Image.Image) -> bytes:
    """Equal for pictures of equal size, mode and content."""
    # Computed for every picture of every prompt: a cryptographic hash takes half as long as decoding a large one.
    digest = xxhash.xxh3_128(f"{picture.mode} {picture.size}".encode())
    digest.update(picture.tobytes())
    return digest.digest()
