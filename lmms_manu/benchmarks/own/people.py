"""The people of a user's tables, set by set, checked once."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lmms_manu import variables
from lmms_manu.benchmarks.own.files import HOW_TO_NAME, Files
from lmms_manu.benchmarks.own.names import FORGOTTEN, SETS
from lmms_manu.benchmarks.own.rows import Row, of_set, read_row
from lmms_manu.benchmarks.own.tables import Table, read_table
from lmms_manu.benchmarks.pictures import EncodedPicture
from lmms_manu.errors import DataError
from lmms_manu.sources import expanded

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class People:
    """Everybody in a user's tables.

    Args:
        files: where they stand.
        sets: the rows of each set that there is.
        skipped: what could not be used, with its place and the reason, by set.
    """

    files: Files
    sets: Mapping[str, Sequence[Row]]
    skipped: Mapping[str, Sequence[str]]
    _whole: dict[str, bool] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    def rows(self, name: str) -> Sequence[Row]:
        """The rows of a set.

        Raises:
            DataError: there is no table of it; it says how to name one.
        """
        if name not in self.sets:
            raise DataError(no_table(name))
        return self.sets[name]

    def whole(self, rows: Iterable[Row]) -> list[Row]:
        """Those of the rows whose picture decodes, looked at side by side and each file once in a process."""
        asked = [(row, _file(row), row.picture) for row in rows if row.picture is not None]
        if new := {file: picture for _, file, picture in asked if file not in self._whole}:
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
                self._whole.update(zip(new, pool.map(EncodedPicture.is_whole, new.values()), strict=True))
        return [row for row, file, _ in asked if self._whole[file]]

    def asked(self, name: str, kind: str, modality: str) -> list[Row]:
        """The rows of a set that are asked in one kind and modality."""
        rows = [row for row in self.sets.get(name, ()) if kind in row.kinds and row.asked(modality)]
        return self.whole(rows) if modality == "multimodal" else rows

    def in_both(self) -> list[str]:
        """Who stands among those to forget and among the others."""
        forgotten, others = (
            {row.subject for name, rows in self.sets.items() if (name in FORGOTTEN) is side for row in rows}
            for side in (True, False)
        )
        return sorted(forgotten & others)

    def same_pictures(self) -> list[tuple[str, str]]:
        """Places of byte-equal pictures, one of somebody to forget and one of somebody else's."""
        by_size: dict[int, list[tuple[bool, Row]]] = defaultdict(list)
        for name, rows in self.sets.items():
            for row in rows:
                if row.picture is not None and (size := stored_bytes(row.picture)):
                    by_size[size].append((name in FORGOTTEN, row))
        found = []
        for some in by_size.values():
            if len({side for side, _ in some}) == 2:
                first: dict[str, Row] = {digest(row): row for side, row in some if side}
                twins = [(first.get(digest(row)), row) for side, row in some if not side]
                found += [(one.place, other.place) for one, other in twins if one is not None]
        return found


def no_table(name: str) -> str:
    """Says that there is no table of a set, and how to name one."""
    return HOW_TO_NAME.format(problem=f"no table holds the {name} set", name=name)


def load_people(files: Files) -> People:
    """Everybody in the tables, read once in a process as long as the files stay as they are; warns of what is odd.

    Raises:
        DataError: a table cannot be read, nobody is in it, or somebody is to be forgotten and kept at once.
    """
    people = read_people(files)
    if both := people.in_both():
        shown = ", ".join(both[:5]) + (f" and {len(both) - 5} more" if len(both) > 5 else "")
        raise DataError(
            f"{shown}: to be forgotten, and in the retain or control set as well ({files}). Leave each person in one "
            "of them."
        )
    _warn(people)
    return people


def read_people(files: Files) -> People:
    """Everybody in the tables as far as they can be read, unchecked, for whoever wants to see what is wrong."""
    return _read(files, _state(files), Path.cwd())


@functools.lru_cache(maxsize=16)
def _read(files: Files, state: tuple[object, ...], folder: Path) -> People:
    sets: dict[str, list[Row]] = {}
    skipped: dict[str, list[str]] = {}
    tables = {name: read_table(path, name, files.columns, files.images) for name, path in files.named().items()}
    for name, (table, chosen) in _assigned(tables).items():
        sets[name], skipped[name] = _rows(table, chosen)
        if not sets[name]:
            raise DataError(f"{table.name} has no usable row of the {name} set. {'; '.join(skipped[name][:5])}")
    return People(files, sets, skipped)


def _assigned(tables: Mapping[str, Table]) -> dict[str, tuple[Table, list[int]]]:
    """The table and the rows of each set: those of the table that is named for it, else what a column `set` says."""
    found = {}
    for name in SETS:
        for owner, table in tables.items() if name not in tables else [(name, tables[name])]:
            rows = [
                index
                for index, values in enumerate(table.rows)
                if of_set(values, name, table.place(index)) and (owner == name or values.get("set"))
            ]
            if rows or owner == name:
                found[name] = (table, rows)
    return found


def _rows(table: Table, chosen: Iterable[int]) -> tuple[list[Row], list[str]]:
    rows, skipped = [], []
    for index in chosen:
        row, problem = read_row(table.rows[index], table.place(index), table.numbers[index], table.picture(index))
        rows += [] if row is None else [row]
        skipped += [problem] if problem else []
    return rows, skipped


def _state(files: Files) -> tuple[object, ...]:
    """Changes when a file does."""
    return tuple(
        (path, stat.st_mtime_ns, stat.st_size)
        for path in files.named().values()
        if (stat := os.stat(expanded(path)) if Path(expanded(path)).exists() else None) is not None
    )


def digest(row: Row) -> str:
    """The SHA-256 of a row's picture as it is stored; empty without one."""
    picture = row.picture
    if picture is None:
        return ""
    if picture.content is not None:
        return hashlib.sha256(picture.content).hexdigest()
    path = Path(str(picture.path))
    return _file_digest(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8192)
def _file_digest(path: Path, changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stored_bytes(picture: EncodedPicture) -> int:
    """How many bytes the file of a picture has; 0 where there is none."""
    if picture.content is not None:
        return int(picture.content.size)
    path = Path(str(picture.path))
    return path.stat().st_size if path.is_file() else 0


def picture_problem(row: Row) -> str:
    """What is wrong with the picture of a row that is none of `People.whole`, with its place and name."""
    path = row.picture.path if row.picture is not None and row.picture.content is None else None
    if path is None:
        return f"{row.place}, column image: the picture is cut off, or none"
    is_there = Path(path).is_file()
    return f"{row.place}, column image: {path!r} is {'cut off, or no picture' if is_there else 'no file'}"


def _file(row: Row) -> str:
    """What tells the file of a row's picture apart: several rows may show the same."""
    return str(row.picture.path) if row.picture is not None and row.picture.content is None else row.place


@functools.lru_cache(maxsize=16)
def _warned(files: Files, told: tuple[str, ...]) -> None:
    for line in told:
        logger.warning("%s", line)


def _warn(people: People, shown: int = 5) -> None:
    """Says once what is odd in the tables."""
    if not variables.is_first_process():
        return
    told = []
    for name, reasons in people.skipped.items():
        if reasons:
            more = f"; and {len(reasons) - shown} more" if len(reasons) > shown else ""
            told.append(f"{len(reasons)} row(s) of the {name} set cannot be used: {'; '.join(reasons[:shown])}{more}.")
    if same := people.same_pictures():
        one, other = same[0]
        told.append(
            f"{len(same)} picture(s) of people to forget are byte-equal to pictures of others, such as those of {one} "
            f"and {other}: a model cannot forget the one and keep the other."
        )
    if "forget" in people.sets and "retain" not in people.sets:
        told.append(
            "There is no retain set: methods that compare with it refuse to run, and what unlearning costs those who "
            "are to be kept cannot be said. Name one by retain=FILE."
        )
    _warned(people.files, tuple(told))
