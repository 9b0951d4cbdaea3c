"""Finished edits, kept under all that determines them, so that the same edit is never made twice.

An entry is a folder with the change's files and `edit.json`, the record; it gets its name when it is whole. The entries
used longest ago give way when the cache grows beyond its limit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmms_manu.editing.changes import Change, read_change
from lmms_manu.errors import DataError
from lmms_manu.files import atomic_folder, write_json
from lmms_manu.kept import Kept, kept, shrink
from lmms_manu.methods.record import EditRecord
from lmms_manu.names import RECORD_FILE
from lmms_manu.variables import cache_folder

LIMIT_BYTES = 50 * 1024**3

_PACKAGE = Path(__file__).parents[1]
_CODE = ("answering", "editing", "measuring", "methods", "models", "training")
logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FinishedEdits:
    """A folder of finished edits, safe to be used by several processes at once.

    Args:
        folder: where the entries are; it may not exist yet.
        limit: the size in bytes that the folder may have.
    """

    folder: Path
    limit: int = LIMIT_BYTES

    @classmethod
    def default(cls) -> FinishedEdits:
        return cls(cache_folder() / "edits")

    def load(self, determinants: Mapping[str, Any]) -> tuple[Change, EditRecord] | None:
        """The edit that was kept under these determinants; None if there is none, or it is damaged."""
        entry = self._entry(determinants)
        if not entry.is_dir():
            return None
        try:
            found = read_edit(entry)
        except DataError as error:
            logger.warning("A kept edit is damaged and will be made again: %s", error)
            shutil.rmtree(entry, ignore_errors=True)
            return None
        with contextlib.suppress(OSError):
            os.utime(entry)
        return found

    def store(self, determinants: Mapping[str, Any], change: Change, record: EditRecord) -> None:
        """Keeps an edit; where there is no place for it, the work goes on without."""
        entry = self._entry(determinants)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", dir=self.folder) as scratch:
                write_edit(Path(scratch), change, record)
                write_json(Path(scratch, "determinants.json"), dict(determinants))
                if not entry.exists():
                    with contextlib.suppress(OSError):  # another process was sooner
                        os.rename(scratch, entry)
                        os.mkdir(scratch)
            shrink(self.entries(), self.limit, spared=entry)
        except OSError as error:
            logger.warning("The finished edit is not kept for the next start: %s", error)

    def entries(self) -> list[Kept]:
        """The folders of all entries, the one used last first."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return kept(path for path in found if path.is_dir() and not path.name.startswith("."))

    def _entry(self, determinants: Mapping[str, Any]) -> Path:
        return self.folder / hashlib.sha256(json.dumps(determinants, sort_keys=True).encode()).hexdigest()[:32]


def write_edit(folder: Path, change: Change, record: EditRecord) -> None:
    """Writes the change's files and the record into a folder that exists."""
    about = record.as_dict()
    change.save(folder, about)
    write_json(folder / RECORD_FILE, about)


def save_edit(folder: Path, change: Change, record: EditRecord) -> None:
    """Writes an edit into a new folder, whole or not at all.

    Raises:
        SettingError: somebody else wrote something there meanwhile.
    """
    with atomic_folder("save_edit", folder) as scratch:
        write_edit(scratch, change, record)


def read_edit(folder: Path) -> tuple[Change, EditRecord]:
    """The change and the record in a folder that `write_edit` wrote.

    Raises:
        DataError: something is missing, damaged, or does not fit together.
    """
    record = EditRecord.read(folder / RECORD_FILE)
    if record is None or record.change is None:
        raise DataError(f"{folder} holds no edit: there is no {RECORD_FILE} that tells of one.")
    change = read_change(record.change, folder)
    if record.fingerprint not in (None, change.fingerprint):
        raise DataError(f"{folder} is damaged: what is changed there is not what {RECORD_FILE} tells of.")
    return change, record


@functools.cache
def code_fingerprint() -> str:
    """Changes with the code that an edit may depend on, so that nobody gets what an earlier state of it made."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in _CODE for path in (_PACKAGE / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(_PACKAGE)} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
