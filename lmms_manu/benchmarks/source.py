"""Where the data of a benchmark is, and how rows are read without copying or decoding a picture before its time."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Self

import datasets
from PIL import Image

from lmms_manu.benchmarks.pictures import COLUMNS, EncodedPicture, pictures_of
from lmms_manu.errors import DataError
from lmms_manu.sources import expanded, is_hub_name

_DECODES: dict[tuple[str, str, int, int], bool] = {}
"""What this process has found out about pictures that it decoded, or read through."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A copy of a benchmark's data: a folder, or a name on the hub. Each benchmark derives its own from this class.

    Make one with `resolve`. Configurations are opened once in a process; what is opened is memory-mapped, so that
    pictures cost no memory until they are asked for.

    Args:
        path: an absolute folder or a hub name.

    Attributes:
        title: what is copied, for messages.
        hub_name: its name on the hub.
        variable: the environment variable that names another place.
        configs: the configurations that it has.
    """

    path: str
    title: ClassVar[str]
    hub_name: ClassVar[str]
    variable: ClassVar[str]
    configs: ClassVar[tuple[str, ...]]

    @classmethod
    def resolve(cls, path: str | None = None) -> Self:
        """The dataset at `path`, else the one that `variable` names, else that of `hub_name`.

        A folder of that relative path in the current directory stands in for a hub name.

        Raises:
            DataError: the path looks like a folder and is none.
        """
        chosen = path or os.environ.get(cls.variable) or cls.hub_name
        folder = Path(expanded(chosen))
        if folder.is_dir():
            return cls(str(folder.resolve()))
        if not is_hub_name(chosen):
            raise DataError(
                f"There is no folder {chosen!r} to read {cls.title} from: give the folder of a local copy or "
                f"{cls.hub_name!r} as the dataset (environment variable {cls.variable})."
            )
        return cls(chosen)

    def load(self, config: str) -> datasets.Dataset:
        """The rows of a configuration, memory-mapped. Reading one decodes its pictures: see `texts` and `image`.

        Raises:
            DataError: the dataset or the configuration cannot be opened.
        """
        return _open(self, config)

    @property
    def loader(self) -> str:
        """The first argument of `datasets.load_dataset`: the hub name, or the format of a local copy's files."""
        return "parquet" if self._is_local else self.path

    def loader_arguments(self, config: str) -> dict[str, Any]:
        """Further arguments of `datasets.load_dataset` for a configuration, beside its name.

        A local copy is opened by its files. Opened as a folder, `datasets` would take what it has converted from
        another folder of the same name for it, and would not notice that a file has changed.

        Raises:
            DataError: a local copy has no such configuration.
        """
        if not self._is_local:
            return {}
        files = sorted(map(str, (Path(self.path) / config).glob("*.parquet")))
        if not files:
            folders = sorted(entry.name for entry in Path(self.path).iterdir() if entry.is_dir())
            raise DataError(
                f"{self.path} has no files {config}/*.parquet: its folders are {', '.join(folders) or 'none'}. A copy "
                f"of {self.title} has a folder for each of its configurations."
            )
        return {"data_files": {"train": files}}

    @property
    def _is_local(self) -> bool:
        return Path(self.path).is_absolute()

    def texts(self, config: str) -> datasets.Dataset:
        """The rows of a configuration without their pictures."""
        return _texts(self, config)

    def column(self, config: str, name: str) -> list[Any]:
        """A text column of a configuration; None for every row where there is no such column."""
        rows = self.texts(config)
        if name not in rows.column_names:
            return [None] * len(rows)
        values: list[Any] = rows.data.column(name).to_pylist()
        return values

    def pictures(self, config: str, row: int) -> int:
        """How many pictures a row has."""
        return len(_encoded(self, config, row))

    def image(self, config: str, row: int, index: int = 0) -> Image.Image:
        """A picture of a row, decoded now, in RGB.

        Decoded pictures are kept for a while, so that the same exemplar is the same object from prompt to prompt:
        treat it as read-only.

        Raises:
            DataError: there is no such picture, or it does not decode.
        """
        try:
            picture = _decode(self, config, row, index)
        except DataError:
            _DECODES[self.path, config, row, index] = False
            raise
        _DECODES[self.path, config, row, index] = True
        return picture

    def stored_picture(self, config: str, row: int, index: int = 0) -> bytes:
        """The file of a picture as it is stored."""
        picture = _encoded(self, config, row)[index]
        return Path(str(picture.path)).read_bytes() if picture.content is None else picture.content.to_pybytes()

    def decodes(self, config: str, row: int, index: int = 0) -> bool:
        """Whether `image` gives this picture; its file is read through only if `image` was never asked for it."""
        key = (self.path, config, row, index)
        if key not in _DECODES:
            encoded = _encoded(self, config, row)
            _DECODES[key] = index < len(encoded) and encoded[index].is_whole()
        return _DECODES[key]

    def rows_that_decode(self, config: str, rows: Iterable[int]) -> frozenset[int]:
        """Those of `rows` whose picture decodes, looked at side by side."""
        asked = list(rows)
        if new := [row for row in asked if (self.path, config, row, 0) not in _DECODES]:
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
                list(pool.map(lambda row: self.decodes(config, row), new))
        return frozenset(row for row in asked if self.decodes(config, row))

    def offers_picture(self, config: str, row: int, index: int = 0) -> bool:
        """Whether a row has anything in the place of a picture; reads nothing of it."""
        encoded = _encoded(self, config, row)
        return index < len(encoded) and encoded[index].is_there

    def has_picture(self, config: str, row: int, index: int = 0) -> bool:
        """Whether a row's picture is there and begins like one; reads its header only."""
        encoded = _encoded(self, config, row)
        return index < len(encoded) and encoded[index].begins_like_one()

    def fingerprint(self, *configs: str) -> str:
        """Changes whenever the rows of the `configs` (by default all of them) may have changed."""
        return "-".join(str(self.load(config)._fingerprint) for config in configs or self.configs)

    def __str__(self) -> str:
        return self.path


@functools.lru_cache(maxsize=64)
def _open(source: Source, config: str) -> datasets.Dataset:
    if config not in source.configs:
        raise DataError(f"{source.title} has no configuration {config!r}: it has {', '.join(source.configs)}.")
    arguments = source.loader_arguments(config)
    try:
        return datasets.load_dataset(source.loader, config, split="train", **arguments)
    except Exception as error:
        cause = error.__cause__ or error
        reason = f"{type(cause).__name__}: {next(iter(str(cause).strip().splitlines()), 'no message')}"
        advice = (
            "Are its files whole, and is there a row in them?"
            if arguments
            else f"Check the connection and the name, or set {source.variable} to the folder of a local copy."
        )
        raise DataError(f"{config} of {source} cannot be opened ({reason}). {advice}") from error


@functools.lru_cache(maxsize=64)
def _texts(source: Source, config: str) -> datasets.Dataset:
    rows = _open(source, config)
    return rows.remove_columns([column for column in COLUMNS if column in rows.column_names])


def _encoded(source: Source, config: str, row: int) -> list[EncodedPicture]:
    return pictures_of(_open(source, config).data, row)


@functools.lru_cache(maxsize=16)
def _decode(source: Source, config: str, row: int, index: int) -> Image.Image:
    encoded = _encoded(source, config, row)
    if index >= len(encoded):
        raise DataError(f"Row {row} of {config} in {source} has {len(encoded)} picture(s): there is no number {index}.")
    try:
        return encoded[index].decode(f"the picture of row {row} of {config} in {source}")
    except Exception as error:
        raise DataError(f"The picture of row {row} of {config} in {source} does not decode: {error}") from error
