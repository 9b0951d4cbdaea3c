"""Lists or cleans what is kept between runs: statistics, finished edits, unfinished work, the judge's verdicts.

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
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from lmms_manu.errors import DataError, SettingError
from lmms_manu.kept import Kept, files_below, kept, shrink
from lmms_manu.names import RECORD_FILE
from lmms_manu.terminal import print_table, table_console
from lmms_manu.variables import cache_folder

KINDS = ("statistics", "edits", "unfinished", "training", "judgements", "fingerprints")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.IGNORECASE)
_DAMAGED = "(damaged: will be made again)"
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
        help="clean only the statistics and edits used longest ago, until the rest fits (5GB, 500MB); by itself",
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.older_than < 0:
        raise SettingError(f"older_than={arguments.older_than:g} is out of range: allowed is at least 0, in days.")
    if arguments.limit is not None and (arguments.what != "all" or arguments.older_than):
        raise SettingError(
            f"limit={arguments.limit!r} is of statistics and edits, the ones used longest ago first: leave --what and "
            "--older_than out, or clean by these in a call of its own."
        )
    selects = arguments.what != "all" or arguments.older_than or arguments.limit is not None
    if arguments.action == "list" and selects:
        raise SettingError(
            "list shows everything: leave --what, --older_than and --limit out, which say what to clean."
        )
    entries = _entries()
    if arguments.action == "list":
        _show(entries)
        return 0
    if arguments.limit is not None:
        removed = shrink([*entries["statistics"], *entries["edits"]], size_of(arguments.limit))
    else:
        latest = time.time() - arguments.older_than * 86400
        chosen = KINDS if arguments.what == "all" else (arguments.what,)
        removed = [entry for kind in chosen for entry in entries[kind] if entry.used <= latest]
        for entry in removed:
            entry.remove()
            with contextlib.suppress(OSError):  # only empty folders can be removed
                entry.path.parent.rmdir()
    print(f"removed {len(removed)} entries, {sum(each.size for each in removed) / 1e6:.1f} MB, from {cache_folder()}")
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


def _entries() -> dict[str, list[Kept]]:
    """What is kept, by kind, the one used last first."""
    # Torch, which a mistyped option does not need.
    from lmms_manu.measuring.statistics_cache import StatisticsCache
    from lmms_manu.methods.finished import FinishedEdits

    statistics = StatisticsCache.default()
    known = {
        "statistics": statistics.parts(),
        "edits": FinishedEdits.default().entries(),
        "unfinished": statistics.unfinished(),
    }
    return {kind: known[kind] if kind in known else kept(files_below(cache_folder() / kind)) for kind in KINDS}


def _show(entries: Mapping[str, Sequence[Kept]]) -> None:
    totals = Table(title=str(cache_folder()), title_justify="left")
    for head in ("kind", "entries", "MB"):
        totals.add_column(head, justify="left" if head == "kind" else "right")
    for kind, own in entries.items():
        totals.add_row(kind, str(len(own)), f"{sum(entry.size for entry in own) / 1e6:.1f}")
    console = table_console()
    print_table(totals, console)
    for kind, named, second in (("statistics", _of_part, "part"), ("edits", _of_edit, "edit")):
        if not entries[kind]:
            continue
        table = Table(title=f"{kind}, the ones used last first", title_justify="left")
        for head in ("checkpoint", second, "MB", "last used"):
            table.add_column(head, justify="right" if head == "MB" else "left")
        for entry in entries[kind]:
            used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
            table.add_row(*named(entry.path), f"{entry.size / 1e6:.1f}", used)
        print_table(table, console)


def _of_part(path: Path) -> tuple[str, str]:
    """The checkpoint that cached statistics belong to, and the part that was measured."""
    from lmms_manu.measuring.checked_tensors import DamagedFileError, load_description

    try:
        told = load_description(path)
    except DamagedFileError:
        return _DAMAGED, ""
    return told["checkpoint"], told["part"]


def _of_edit(folder: Path) -> tuple[str, str]:
    """The checkpoint that a finished edit was made for, and the edit's label."""
    from lmms_manu.methods.record import EditRecord

    try:
        record = EditRecord.read(folder / RECORD_FILE)
    except DataError:
        record = None
    return (record.checkpoint, record.label) if record is not None else (_DAMAGED, "")
