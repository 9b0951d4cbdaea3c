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

from lmms_manu.kept import Kept, kept, shrink
from lmms_manu.measuring.checked_tensors import DamagedFileError, load_tensors, store_tensors
from lmms_manu.measuring.resume import PartialValues
from lmms_manu.variables import cache_folder

LIMIT_BYTES = 20 * 1024**3

_VALUES = "values"

logger = logging.getLogger(__name__)


def key_of(determinants: Mapping[str, Any]) -> str:
    """The key of statistics that are determined by these values (anything that JSON can hold)."""
    return hashlib.sha256(json.dumps(determinants, sort_keys=True).encode()).hexdigest()[:32]


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

    def parts(self) -> list[Kept]:
        """The complete parts, the one used last first."""
        return kept(self._find("*.safetensors"))

    def unfinished(self) -> list[Kept]:
        """The files of interrupted measurements, and what a process that was killed was just writing."""
        return kept([*self._find("unfinished/*/*.safetensors"), *self._find(".*.part")])

    def shrink(self, limit: int) -> list[Kept]:
        """Removes the parts that were used longest ago until the rest fits into `limit` bytes; returns these."""
        return shrink(self.parts(), limit)

    def _path(self, determinants: Mapping[str, Any]) -> Path:
        return self.folder / f"{key_of(determinants)}.safetensors"

    def _find(self, pattern: str) -> list[Path]:
        # Unlike the method of a path, this one lives with folders that go while it looks.
        return [self.folder / name for name in glob.glob(pattern, root_dir=self.folder)]
