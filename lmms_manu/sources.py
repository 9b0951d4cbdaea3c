"""What the name of a checkpoint, a mask or a dataset means: a path on this machine, or a name on the hub.

A name of the form `owner/name` is looked for on this machine first, so that a folder of that relative path stands in
for what the hub has by that name. Every other one, and one that begins with `.`, `/` or `~`, can only be a path.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

_ONLY_PATHS = (".", "/", "~")
_HARDLY_DIFFERENT = 0.85


def is_only_a_path(source: str) -> bool:
    """Whether `source` can be nothing but a path."""
    owner, _, name = source.partition("/")
    return source.startswith(_ONLY_PATHS) or not owner or not name or "/" in name


def is_hub_name(source: str) -> bool:
    """Whether `source` means something on the hub: it has the form of a name there, and nothing lies here by it."""
    return not is_only_a_path(source) and not Path(source).exists()


def expanded(source: str) -> str:
    """`source` with `~` expanded where it can only be a path; otherwise as it is."""
    return os.path.expanduser(source) if is_only_a_path(source) else source


def nearest_folder(source: str, holds: Callable[[Path], bool]) -> str:
    """A hint at the folder beside `source` that has the most similar name; empty if nothing is near.

    Args:
        source: a path, or the name of a repository that may have been meant as one.
        holds: whether a folder has what is looked for; one that has not needs a name that is hardly different.
    """
    parent, name = os.path.split(source.rstrip("/"))
    folders = [path.name for path in Path(parent).glob("*") if os.path.isdir(path)]
    likely = get_close_matches(name, folders, n=1, cutoff=_HARDLY_DIFFERENT)
    for folder in get_close_matches(name, folders, n=len(folders) or 1):
        if folder in likely or holds(Path(parent, folder)):
            return f" Did you mean {os.path.join(parent, folder)!r}?"
    return ""
