"""A table of people, whatever it is stored as: rows of text with the number of their line, and pictures unread."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import yaml

from lmms_manu.benchmarks.own.names import COLUMNS, REQUIRED
from lmms_manu.benchmarks.pictures import EncodedPicture, pictures_of
from lmms_manu.errors import DataError, first_line, nearest, one_of
from lmms_manu.sources import expanded, is_hub_name

_FORMATS = ".jsonl, .csv, .tsv, .parquet"
_MAPPING = ".columns.yaml"


@dataclasses.dataclass(frozen=True)
class Table:
    """The rows of a table.

    Args:
        name: the file, folder or hub name, for messages.
        numbers: the line of each row; of a table without lines, the number of the row from 1.
        rows: values by the names of `COLUMNS`.
        picture: gives the picture of the row at an index, not read yet; None where it names none.
        is_lines: whether `numbers` are lines of a text file.
    """

    name: str
    numbers: Sequence[int]
    rows: Sequence[Mapping[str, Any]]
    picture: Callable[[int], EncodedPicture | None]
    is_lines: bool

    def place(self, index: int) -> str:
        """Where a row stands, for messages."""
        return f"{self.name}, {'line' if self.is_lines else 'row'} {self.numbers[index]}"


def read_table(source: str, of_set: str, columns: str | None = None, images: str | None = None) -> Table:
    """Reads a table; a picture is found, not opened.

    Args:
        source: a file (JSON lines, CSV, TSV, parquet), a folder of such files or of `datasets`, or a hub name.
        of_set: the set whose rows are wanted: of a folder or a hub name with splits, the split of that name.
        columns: what it calls the columns, such as `subject:name;answer:text`.
        images: the folder that relative paths of pictures start at; that of the table if None.

    Raises:
        DataError: it cannot be read, or a column that is needed is missing.
    """
    path = Path(expanded(source))
    if path.is_dir():
        files = _files_of(path, of_set)
        if files and files[0].suffix != ".parquet":
            return read_table(str(files[0]), of_set, columns, images)
    elif not path.is_file() and not is_hub_name(source):
        raise DataError(f"{of_set}={source!r}: there is no such file or folder.{_nearest_file(path)}")
    mapping = _mapping(path, columns)
    start = Path(expanded(images)) if images else (path if path.is_dir() else path.parent)
    if path.is_file() and path.suffix.lower() in (".jsonl", ".json", ".csv", ".tsv"):
        return _of_lines(source, path, mapping, start)
    if path.is_file() and path.suffix.lower() != ".parquet":
        raise DataError(
            f"{of_set}={source!r} ends in {path.suffix!r}: a table is one of {_FORMATS}, or a folder. A spreadsheet "
            "program saves a sheet as CSV."
        )
    # Of one folder or repository several sets may be read, in which rows have the same numbers.
    name = source if path.is_file() else f"{source} ({of_set})"
    return _of_dataset(name, _dataset(source, path, of_set), mapping, start)


def _of_lines(source: str, path: Path, mapping: Mapping[str, str], start: Path) -> Table:
    read = _json_lines if path.suffix.lower() in (".jsonl", ".json") else _csv_lines
    try:
        numbered = list(read(path))
    except UnicodeDecodeError as error:
        raise DataError(f"{source} is not in UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8.") from None
    if not numbered:
        raise DataError(f"{source} has no rows.")
    names = list(dict.fromkeys(name for _, row in numbered for name in row))
    taken = _columns(source, names, mapping)
    rows = [{name: row.get(given) for name, given in taken.items()} for _, row in numbered]

    def picture(index: int) -> EncodedPicture | None:
        value = rows[index].get("image")
        if value in (None, ""):
            return None
        if not isinstance(value, str):
            raise DataError(f"{source}, line {numbered[index][0]}, column image: {value!r} is not the path of a file.")
        return EncodedPicture(None, str(start / expanded(value)))

    return Table(source, [number for number, _ in numbered], rows, picture, True)


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(
                    f"{path}, line {number}: this is not JSON ({error}). Each line is one object."
                ) from None
            if not isinstance(row, dict):
                raise DataError(f"{path}, line {number}: {line.strip()[:60]!r} is not an object with columns.")
            yield number, row


def _csv_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        # Spreadsheets write what their country's settings say.
        delimiter = max(",;\t", key=header.count)
        reader = csv.DictReader(file, delimiter=delimiter)
        before = 1
        for row in reader:
            # Where it begins: a value in quotation marks may go over several lines.
            number, before = before + 1, reader.line_num
            if None in row:
                raise DataError(
                    f"{path}, line {number} has more values than the header has columns: put a value that holds "
                    f"{delimiter!r} into quotation marks."
                )
            if any(row.values()):
                yield number, {str(name).strip(): value for name, value in row.items()}


def _of_dataset(source: str, rows: datasets.Dataset, mapping: Mapping[str, str], start: Path) -> Table:
    taken = _columns(source, rows.column_names, mapping)
    rows = rows.select_columns(list(taken.values())).rename_columns({given: name for name, given in taken.items()})
    if rows._indices is not None:
        rows = rows.flatten_indices()
    texts = {name: rows.data.column(name).to_pylist() for name in taken if name != "image"}
    values = [dict(zip(texts, row, strict=True)) for row in zip(*texts.values(), strict=True)]

    def picture(index: int) -> EncodedPicture | None:
        found = [one for one in pictures_of(rows.data, index) if one.is_there]
        if not found:
            return None
        one = found[0]
        return one if one.content is not None else EncodedPicture(None, str(start / str(one.path)))

    return Table(source, range(1, len(values) + 1), values, picture, False)


def _dataset(source: str, path: Path, of_set: str) -> datasets.Dataset:
    try:
        if path.is_file():
            return datasets.load_dataset("parquet", data_files=[str(path.resolve())], split="train")
        if path.is_dir() and (files := _files_of(path, of_set)):
            return datasets.load_dataset("parquet", data_files=[str(file.resolve()) for file in files], split="train")
        found = datasets.load_from_disk(str(path)) if path.is_dir() else datasets.load_dataset(source)
    except DataError:
        raise
    except Exception as error:
        cause = first_line(error.__cause__ or error)
        raise DataError(f"{of_set}={source!r} cannot be opened ({type(error).__name__}: {cause}).") from error
    if isinstance(found, datasets.Dataset):
        return found
    split = next((name for name in (of_set, "train") if name in found), next(iter(found), None))
    if split is None or (len(found) > 1 and split not in (of_set, "train")):
        raise DataError(f"{of_set}={source!r} has no split {of_set!r} or 'train': it has {', '.join(found) or 'none'}.")
    return found[split]


def _files_of(folder: Path, of_set: str) -> list[Path]:
    """The files of a folder's table: those that are called after the set, else all; none of a dataset of `datasets`."""
    if any((folder / name).is_file() for name in ("dataset_info.json", "dataset_dict.json", "state.json")):
        return []
    for pattern in ("*.parquet", "*.jsonl", "*.csv", "*.tsv"):
        found = sorted(folder.rglob(pattern))
        chosen = [file for file in found if file.name.startswith(of_set)] or found
        if chosen and (pattern == "*.parquet" or len(chosen) == 1):
            return chosen
        if chosen:
            listed = ", ".join(file.name for file in chosen)
            raise DataError(f"{of_set}={str(folder)!r} holds {len(chosen)} tables ({listed}): name one of them.")
    raise DataError(f"{of_set}={str(folder)!r} holds no table: looked for {_FORMATS}, and for a saved dataset.")


def _mapping(path: Path, columns: str | None) -> dict[str, str]:
    """What the table calls each column, as far as anybody says it.

    Raises:
        DataError: it is said of a column that there is none of.
    """
    beside = path / _MAPPING if path.is_dir() else path.with_name(path.stem + _MAPPING)
    found: Mapping[str, Any] = {}
    if columns:
        found = dict(part.strip().partition(":")[::2] for part in columns.split(";") if part.strip())
    elif beside.is_file():
        found = yaml.safe_load(beside.read_text(encoding="utf-8")) or {}
        if not isinstance(found, Mapping):
            raise DataError(f"{beside} holds no lines such as `subject: name`.")
    for name in found:
        if name not in COLUMNS:
            raise DataError(str(one_of("columns" if columns else str(beside), name, COLUMNS)))
    return {name: str(given).strip() for name, given in found.items()}


def _columns(source: str, present: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The columns of a table by what they mean.

    Raises:
        DataError: one that is needed, or that was named, is missing; it says how to name it.
    """
    wanted = {name: mapping.get(name, name) for name in COLUMNS}
    missing = [name for name in wanted if wanted[name] not in present and (name in REQUIRED or name in mapping)]
    if missing:
        hints = "".join(nearest(wanted[name], [one for one in present if one not in COLUMNS]) for name in missing)
        example = ";".join(f"{name}:NAME" for name in missing)
        raise DataError(
            f"{source} has no column {', '.join(repr(wanted[name]) for name in missing)}: it has "
            f"{', '.join(map(repr, present))}.{hints} Say what it calls them by columns='{example}', or in a file "
            f"{Path(source).stem}{_MAPPING} beside it."
        )
    return {name: given for name, given in wanted.items() if given in present}


def _nearest_file(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    return nearest(path.name, [entry.name for entry in path.parent.iterdir()])
