"""What a cache keeps: files or folders, of which the ones used longest ago give way to newer ones."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Kept:
    """A file or a folder of a cache.

    Args:
        path: where it is.
        size: in bytes, of a folder that of its files.
        used: when it was last read or written, in seconds since 1970.
    """

    path: Path
    size: int
    used: float

    def remove(self) -> None:
        """Removes it; that somebody else was sooner is no error."""
        if self.path.is_dir():
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)


def kept(paths: Iterable[Path]) -> list[Kept]:
    """What is at these places, the one used last first; other processes may add and remove some meanwhile."""
    found = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            state = path.stat()
            size = sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else state.st_size
            found.append(Kept(path, size, state.st_mtime))
    return sorted(found, key=lambda each: each.used, reverse=True)


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, sorted; none where there is no such folder."""
    return sorted(Path(place, name) for place, _, names in os.walk(folder) for name in names)


def shrink(entries: Sequence[Kept], limit: int, spared: Path | None = None) -> list[Kept]:
    """Removes the entries that were used longest ago until the others fit into `limit` bytes.

    Args:
        entries: in any order.
        limit: in bytes.
        spared: what stays in any case.

    Returns:
        What was removed.
    """
    removed, total = [], 0
    for entry in sorted(entries, key=lambda each: each.used, reverse=True):
        total += entry.size
        if total > limit and entry.path != spared:
            entry.remove()
            removed.append(entry)
    return removed
