"""Pictures as they lie in a memory-mapped Arrow table: found without reading them, decoded when they are wanted."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import threading
from collections.abc import Iterator

import numpy as np
import pyarrow
from PIL import Image, ImageFile

from lmms_manu.errors import DataError
from lmms_manu.images import shown

COLUMNS = ("image", "images")
"""The columns that hold pictures: one, or in the Test set a list."""


@dataclasses.dataclass(frozen=True)
class EncodedPicture:
    """A picture's file.

    Args:
        content: the bytes where they lie in the table, None if there are none.
        path: the file that they are in otherwise.
    """

    content: pyarrow.Buffer | None
    path: str | None

    @property
    def is_there(self) -> bool:
        """Whether there are bytes or a path; reads nothing of the file."""
        return bool(self.path if self.content is None else self.content.size)

    def begins_like_one(self) -> bool:
        """Whether the file is there and begins like a picture; reads its header only."""
        try:
            if self.content is not None:
                Image.open(pyarrow.BufferReader(self.content))
            elif self.path:
                Image.open(self.path).close()
            else:
                return False
        except Exception:  # Pillow's decoders raise errors of many kinds on bytes that are no picture.
            return False
        return True

    def decode(self, label: str = "a picture") -> Image.Image:
        """The picture, the right way up and in RGB; raises whatever Pillow does if it is none, or cut off.

        Args:
            label: what the picture is, for messages.
        """
        with self._opened() as opened:
            return shown(opened, label)

    def size(self) -> tuple[int, int]:
        """Its width and height in pixels; reads its header only, and raises whatever Pillow does if it is none."""
        with self._opened() as opened:
            return opened.size

    def is_whole(self) -> bool:
        """Whether the file is a picture up to its end; reads all of it, of a JPEG for half of what `decode` takes."""
        try:
            with self._opened() as opened:
                # The smallest size that a format offers: every byte is read all the same.
                opened.draft(None, (1, 1))
                opened.load()
        except Exception:  # as above
            return False
        return True

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Image.Image]:
        if self.content is None and not self.path:
            raise ValueError("it has neither bytes nor a path")
        # Copied first: some of Pillow's decoders want a file of Python's own.
        file = self.path if self.content is None else io.BytesIO(self.content)
        with _whole_pictures_only, Image.open(file) as opened:  # type: ignore[arg-type]
            yield opened


def pictures_of(table: pyarrow.Table, row: int) -> list[EncodedPicture]:
    """The pictures of a row of a table; none where it has no column of them, or nothing in it.

    A picture is what `datasets` takes for one: a struct of bytes and path or of one of them, bytes alone, or a path.

    Raises:
        DataError: the column holds something else.
    """
    name = next((name for name in COLUMNS if name in table.column_names), None)
    if name is None:
        return []
    column = table.column(name)
    _check_type(name, column.type)
    for chunk in column.chunks:
        if row < len(chunk):
            return _of_cell(chunk.slice(row, 1))
        row -= len(chunk)
    raise IndexError(row)


def _of_cell(cell: pyarrow.Array) -> list[EncodedPicture]:
    """The pictures in an array of one: a file, or a list of files."""
    if cell.null_count:
        return []
    if not _is_list(cell.type):
        return [_of_file(cell)]
    files = cell.flatten()
    return [_of_file(files.slice(index, 1)) for index in range(len(files))]


def _of_file(file: pyarrow.Array) -> EncodedPicture:
    if file.null_count:
        return EncodedPicture(None, None)
    if not isinstance(file, pyarrow.StructArray):
        return EncodedPicture(_buffer(file), None) if _is_bytes(file.type) else EncodedPicture(None, file[0].as_py())
    fields = {field.name for field in file.type}
    content = _buffer(file.field("bytes")) if "bytes" in fields else None
    return EncodedPicture(content, file.field("path")[0].as_py() if "path" in fields else None)


def _buffer(content: pyarrow.Array) -> pyarrow.Buffer | None:
    """The bytes of an array of one value where they lie; a scalar of Arrow's would be a copy."""
    if content.null_count:
        return None
    if pyarrow.types.is_binary_view(content.type):
        return content[0].as_buffer()
    kind = np.int64 if pyarrow.types.is_large_binary(content.type) else np.int32
    _, offsets, values = content.buffers()
    begin, end = np.frombuffer(offsets, kind)[content.offset : content.offset + 2].tolist()
    return values.slice(begin, end - begin)


def _check_type(column: str, kind: pyarrow.DataType) -> None:
    """Refuses a column of another type than those of pictures.

    Raises:
        DataError: naming the column and its type.
    """
    file = kind.value_type if _is_list(kind) else kind
    if pyarrow.types.is_null(file) or _is_bytes(file) or _is_text(file):
        return
    if pyarrow.types.is_struct(file):
        fields = {field.name: field.type for field in file}
        content, path = (fields.get(name, pyarrow.null()) for name in ("bytes", "path"))
        is_read = (_is_bytes(content) or pyarrow.types.is_null(content)) and (
            _is_text(path) or pyarrow.types.is_null(path)
        )
        if is_read and fields.keys() & {"bytes", "path"}:
            return
    raise DataError(
        f"The column {column} is of type {kind}, in which there are no pictures: it may hold structs of bytes and "
        "path, bytes alone, paths, or lists of these."
    )


def _is_list(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    return any(
        holds(kind)
        for holds in (
            types.is_list,
            types.is_large_list,
            types.is_fixed_size_list,
            types.is_list_view,
            types.is_large_list_view,
        )
    )


def _is_bytes(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    return any(holds(kind) for holds in (types.is_binary, types.is_large_binary, types.is_binary_view))


def _is_text(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    return any(holds(kind) for holds in (types.is_string, types.is_large_string, types.is_string_view))


class _WholePicturesOnly(contextlib.AbstractContextManager[None]):
    """Has Pillow refuse pictures that are cut off: importing the harness makes it fill them in grey.

    Pillow knows one answer for the whole process. It is changed while any thread is inside.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._lenient = False

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._lenient


_whole_pictures_only = _WholePicturesOnly()
