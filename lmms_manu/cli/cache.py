"""Lists or cleans what is kept between runs: statistics, unfinished measurements, the judge's verdicts.

Everything in the cache can be made again; removing it costs time (and the judge's price), never a result. The folder is
~/.cache/lmms-manu, or what LMMS_MANU_CACHE names.

examples:
  lmms-manu cache list
  lmms-manu cache clean --older_than 30
  lmms-manu cache clean --limit 5GB
  lmms-manu cache clean --what unfinished
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from lmms_manu.environment import cache_folder
from lmms_manu.errors import SettingError
from lmms_manu.terminal import print_table, table_console

if TYPE_CHECKING:  # torch, which listing sizes does not need
    from lmms_manu.measuring.statistics_cache import CachedPart

KINDS = ("statistics", "unfinished", "judgements", "fingerprints")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.IGNORECASE)
_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "clean"), help="show what is there, or remove some of it")
    parser.add_argument(
        "--what",
        choices=("all", *KINDS),
        default="all",
        help="which kind to clean (default all)",
    )
    parser.add_argument(
        "--older_than", type=float, default=0, metavar="DAYS", help="clean only what was not used for so many days"
    )
    parser.add_argument(
        "--limit",
        metavar="SIZE",
        help="clean only the statistics used longest ago, until the rest fits (5GB, 500MB); by itself",
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.older_than < 0:
        raise SettingError(f"older_than={arguments.older_than:g} is out of range: allowed is at least 0, in days.")
    if arguments.limit is not None and (arguments.what not in ("all", "statistics") or arguments.older_than):
        raise SettingError(
            f"limit={arguments.limit!r} is of the statistics, the ones used longest ago first: leave --what and "
            "--older_than out, or clean by these in a call of its own."
        )
    selects = arguments.what != "all" or arguments.older_than or arguments.limit is not None
    if arguments.action == "list" and selects:
        raise SettingError(
            "list shows everything: leave --what, --older_than and --limit out, which say what to clean."
        )
    from lmms_manu.measuring.statistics_cache import StatisticsCache

    statistics = StatisticsCache.default()
    if arguments.action == "list":
        _show(statistics.parts(), statistics.unfinished())
        return 0
    if arguments.limit is not None:
        removed = [(part.path, part.size) for part in statistics.shrink(size_of(arguments.limit))]
    else:
        removed = _clean(arguments.what, arguments.older_than)
    print(f"removed {len(removed)} files, {sum(size for _, size in removed) / 1e6:.1f} MB, from {cache_folder()}")
    return 0


def size_of(text: str) -> int:
    """`5GB` or `500 MB` in bytes.

    Raises:
        SettingError: the text has another form.
    """
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise SettingError(f"limit={text!r} is not a size: write it like 5GB or 500MB.")
    return int(float(found[1]) * 1024 ** _UNITS[found[2].upper()])


def _files(kind: str) -> list[tuple[Path, os.stat_result]]:
    """The files of a kind."""
    statistics = cache_folder() / "statistics"
    if kind == "statistics":
        return [(path, state) for path, state in _walk(statistics) if path.match("statistics/*.safetensors")]
    if kind == "unfinished":
        # Beside interrupted measurements, what a process that was killed was just writing.
        left = [(path, state) for path, state in _walk(statistics) if path.match("statistics/.*.part")]
        return left + _walk(statistics / kind)
    return _walk(cache_folder() / kind)


def _walk(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """All files below a folder; other processes may add and remove some meanwhile."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                path = Path(place, name)
                found.append((path, path.stat()))
    return sorted(found)


def _clean(what: str, days: float) -> list[tuple[Path, int]]:
    latest = time.time() - days * 86400
    removed = []
    for kind in KINDS if what == "all" else (what,):
        for path, state in _files(kind):
            if state.st_mtime <= latest:
                path.unlink(missing_ok=True)
                removed.append((path, state.st_size))
                with contextlib.suppress(OSError):  # only empty folders can be removed
                    path.parent.rmdir()
    return removed


def _show(parts: list[CachedPart], unfinished: list[CachedPart]) -> None:
    totals = Table(title=str(cache_folder()), title_justify="left")
    for head in ("kind", "files", "MB"):
        totals.add_column(head, justify="left" if head == "kind" else "right")
    for kind in KINDS:
        files = _files(kind)
        totals.add_row(kind, str(len(files)), f"{sum(state.st_size for _, state in files) / 1e6:.1f}")
    console = table_console()
    print_table(totals, console)
    if not parts:
        return
    table = Table(title="statistics, the ones used last first", title_justify="left")
    for head in ("checkpoint", "part", "MB", "last used"):
        table.add_column(head, justify="right" if head == "MB" else "left")
    for part in parts:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(part.used))
        table.add_row(*_names(part), f"{part.size / 1e6:.1f}", used)
    print_table(table, console)


def _names(part: CachedPart) -> tuple[str, str]:
    """The checkpoint that a cached file belongs to, and the part that was measured."""
    from lmms_manu.measuring.checked_tensors import DamagedFileError

    try:
        about = part.about()
    except DamagedFileError:
        return "(damaged: will be made again)", ""
    return about["checkpoint"], about["part"]
