"""Statistics that were measured before, kept under a key of everything that determines them."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock
from torch import Tensor

from lmms_manu.environment import cache_folder
from lmms_manu.measuring.checked_tensors import DamagedFileError, load_description, load_tensors, store_tensors
from lmms_manu.measuring.resume import PartialValues

LIMIT_BYTES = 20 * 1024**3

_VALUES = "values"

logger = logging.getLogger(__name__)


def key_of(determinants: Mapping[str, Any]) -> str:
    """The key of statistics that are determined by these values (anything that JSON can hold)."""
    return hashlib.sha256(json.dumps(determinants, sort_keys=True).encode()).hexdigest()[:32]


@dataclasses.dataclass(frozen=True)
class CachedPart:
    """A file of the cache: what was measured of one set in one modality.

    Args:
        path: where it is.
        size: in bytes.
        used: when it was last read or written, in seconds since 1970.
    """

    path: Path
    size: int
    used: float

    def about(self) -> dict[str, Any]:
        """What the file says of itself.

        Raises:
            DamagedFileError: it cannot be read.
        """
        return load_description(self.path)


@dataclasses.dataclass(frozen=True)
class StatisticsCache:
    """A folder of statistics, safe to be used by several processes at once.

    Every file is written whole under its final name or not at all, and holds a checksum that is verified on reading;
    the ones that were used longest ago give way when the folder grows beyond its limit.

    Args:
        folder: where the files are; it may not exist yet.
        limit: the size in bytes that the folder may have.
    """

    folder: Path
    limit: int = LIMIT_BYTES

    @classmethod
    def default(cls) -> StatisticsCache:
        return cls(cache_folder() / "statistics")

    def load(self, determinants: Mapping[str, Any]) -> Tensor | None:
        """The values that were stored under these determinants; None if there are none."""
        path = self._path(determinants)
        try:
            tensors, about = load_tensors(path)
        except FileNotFoundError:
            return None
        except DamagedFileError as error:
            logger.warning("%s It is made again.", error)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        if about["determinants"] != json.loads(json.dumps(determinants)):
            logger.warning("%s belongs to something else than its name says. It is made again.", path)
            return None
        # Counts as a use. The folder may be somebody else's, or just have been cleaned.
        with contextlib.suppress(OSError):
            os.utime(path)
        return tensors[_VALUES]

    def store(self, determinants: Mapping[str, Any], values: Tensor, about: Mapping[str, Any]) -> bool:
        """Keeps `values` with a description for people, which names their `part` and `checkpoint`.

        Returns:
            Whether there was a place for them; nobody's work ends for the lack of one.
        """
        path = self._path(determinants)
        try:
            store_tensors(path, {_VALUES: values}, {**about, "determinants": determinants})
            self.shrink(self.limit)
        except OSError as error:
            logger.warning("%s: it could not be kept for the next time (%s).", path, error)
            return False
        return True

    @contextlib.contextmanager
    def alone(self, determinants: Mapping[str, Any]) -> Iterator[None]:
        """Waits while another process measures the same; it may have stored it then. Without a place nobody waits."""
        path = self.folder / f"{key_of(determinants)}.lock"
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(filelock.FileLock(path))
                held.callback(path.unlink, missing_ok=True)
            yield

    def partial(self, determinants: Mapping[str, Any]) -> PartialValues:
        """The place for the unfinished values of the same determinants."""
        return PartialValues(self.folder / "unfinished" / key_of(determinants))

    def parts(self) -> list[CachedPart]:
        """The complete parts, the one used last first."""
        return sorted(self._files("*.safetensors"), key=lambda part: part.used, reverse=True)

    def unfinished(self) -> list[CachedPart]:
        """The files of interrupted measurements."""
        return self._files("unfinished/*/*.safetensors")

    def shrink(self, limit: int) -> list[CachedPart]:
        """Removes the parts that were used longest ago until the rest fits into `limit` bytes.

        Returns:
            What was removed.
        """
        removed, total = [], 0
        for part in self.parts():
            total += part.size
            if total > limit:
                part.path.unlink(missing_ok=True)
                removed.append(part)
        return removed

    def _path(self, determinants: Mapping[str, Any]) -> Path:
        return self.folder / f"{key_of(determinants)}.safetensors"

    def _files(self, pattern: str) -> list[CachedPart]:
        found = []
        # Unlike the method of a path, this one lives with folders that go while it looks.
        for name in glob.glob(pattern, root_dir=self.folder):
            path = self.folder / name
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                found.append(CachedPart(path, state.st_size, state.st_mtime))
        return found
