"""The console that tables are printed on."""

from __future__ import annotations

from rich.console import Console


def table_console(width: int = 160) -> Console:
    """A console for tables: a pipe or a file gets them `width` wide, whatever width its terminal claims."""
    console = Console()
    return console if console.is_terminal else Console(width=width)
