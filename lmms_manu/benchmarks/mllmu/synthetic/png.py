"""PNG files whose bytes depend on nothing but their pixels."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_LARGEST_STORED_BLOCK = 0xFFFF


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG file of `pixels`.

    Compressed bytes differ between zlib and its replacements, so the pixels are stored as they are: width x height x 3
    bytes and a little.

    Args:
        pixels: uint8 [height, width, 3], red, green, blue.
    """
    height, width, _ = pixels.shape
    # Every row begins with the number of its filter: none.
    rows = np.zeros((height, 1 + width * 3), dtype=np.uint8)
    rows[:, 1:] = pixels.reshape(height, width * 3)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", _stored(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _stored(data: bytes) -> bytes:
    """`data` as a zlib stream of stored blocks (RFC 1950, RFC 1951 section 3.2.4)."""
    blocks = [data[start : start + _LARGEST_STORED_BLOCK] for start in range(0, len(data), _LARGEST_STORED_BLOCK)]
    stream = [b"\x78\x01"]
    for number, block in enumerate(blocks):
        is_last = number == len(blocks) - 1
        stream += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*stream, struct.pack(">I", zlib.adler32(data))])
