"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmms_manu.errors import SettingError

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_RUST_DISK_ERROR = re.compile(r"\(os error (\d+)\)")


def refuse_existing(setting: str, path: str | os.PathLike[str]) -> None:
    """Refuses to write over what is there; for files that nobody asked to replace, before the work for them begins.

    Raises:
        SettingError: there is something at `path`, which the `setting` of this name gave, or nothing can be written.
    """
    refuse_unwritable_file(setting, path)
    if Path(path).exists():
        raise SettingError(
            f"{setting}={str(path)!r} exists: name a new file or remove this one; nothing is overwritten."
        )


def refuse_unwritable_file(setting: str, path: str | os.PathLike[str]) -> None:
    """Refuses a file that cannot be written, before the work for it begins; makes nothing.

    Raises:
        SettingError: `path`, which the `setting` of this name gave, is a folder, or the folder that it lies in can
            neither be written into nor be made.
    """
    if os.path.isdir(path):
        raise SettingError(f"{setting}={str(path)!r} is a folder: name a file.")
    refuse_unwritable(setting, path, Path(path).parent)


def refuse_unwritable(setting: str, path: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None) -> None:
    """Refuses a folder that nothing can be written into, before the work for it begins; makes nothing.

    Args:
        setting: the name of the setting that gave `path`.
        path: what the user named.
        folder: the folder that is written into, or is made with all above it; `path` itself if left out.

    Raises:
        SettingError: there is a file in its place or above it, or the nearest folder that exists is not writable.
    """
    place = Path(os.path.abspath(path if folder is None else folder))
    # Not by Path.exists, which stops where a folder may not be looked into.
    nearest = next(above for above in (place, *place.parents) if os.path.lexists(above))
    if not os.path.isdir(nearest):
        raise SettingError(
            f"{setting}={str(path)!r} cannot be written: {str(nearest)!r} is no folder. Name another place."
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise SettingError(
            f"{setting}={str(path)!r} cannot be written: you may not write into the folder {str(nearest)!r}. "
            "Name another place, or change its permissions."
        )


def new_folder(setting: str, path: str | os.PathLike[str]) -> Path:
    """The full path of a folder that is to be written whole, links resolved; makes nothing.

    Raises:
        SettingError: `path`, which the `setting` of this name gave, is the current folder, is there and not empty, or
            cannot be written.
    """
    target = Path(path).expanduser().resolve()
    if target == Path.cwd():
        raise SettingError(f"{setting}={str(path)!r} is the folder that you are in: name one to be made.")
    refuse_unwritable(setting, path, target.parent)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SettingError(f"{setting}={str(target)!r} exists: name a new folder, nothing is overwritten.")
    return target


@contextlib.contextmanager
def atomic_folder(setting: str, target: Path) -> Iterator[Path]:
    """Yields a new folder that takes the place of `target` on success, and is removed on an error.

    Raises:
        SettingError: somebody else wrote something there meanwhile.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield scratch
        _open_to_readers(scratch)
        try:
            if target.is_dir():
                target.rmdir()
            os.replace(scratch, target)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            raise SettingError(
                f"{setting}={str(target)!r} was written by somebody else meanwhile, and stays as it is: name another "
                "folder, or take what is there."
            ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _open_to_readers(folder: Path) -> None:
    """Gives a folder and all below it the permissions that new ones have; temporary ones are private."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(_ordinary(0o777 if path.is_dir() else 0o666))


def _ordinary(permissions: int) -> int:
    """What this process's umask leaves of them, as of those of any new file."""
    mask = os.umask(0)
    os.umask(mask)
    return permissions & ~mask


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it takes the place of `path`, on an error it is removed."""
    target = Path(path)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            # mkstemp makes files private; the result gets the permissions that an ordinary new file would.
            temporary.chmod(_ordinary(0o666))
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Puts `path` into errors of the disk that name no file, as that of a full one does.

    Raises:
        OSError: in the place of such an error, also of one that a library written in Rust raises as its own.
    """
    try:
        yield
    except Exception as error:
        number = _disk_error(error)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _disk_error(error: Exception) -> int | None:
    """The number of a disk's error that names no file, None for any other error."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.filename is None else None
    found = _RUST_DISK_ERROR.search(str(error))
    return int(found[1]) if found else None


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes `text` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_versioned(path: str | os.PathLike[str], schema: str, version: int) -> dict[str, Any]:
    """The content of a JSON file that names its schema and version, without these two.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no JSON, or is of another schema or version.
    """
    content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    named = (content.pop("schema", None), content.pop("version", None)) if isinstance(content, dict) else None
    if named != (schema, version):
        raise ValueError(f"it is not of schema {schema}, version {version}")
    return content


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
