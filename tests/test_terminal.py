"""Tables keep every digit at any width of a terminal."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from lmms_manu.terminal import print_table

NUMBERS = [f"{number + 11.11:.2f}\n[−{number}.1, −0.{number}7]" for number in range(13)]


def printed(width: int) -> str:
    table = Table(title="Scores", title_justify="left")
    table.add_column("method")
    for number in range(len(NUMBERS)):
        table.add_column(f"Forget set Classification {number} ↓", justify="right")
    table.add_row("manu paper with a_very_long_name_of_a_checkpoint", *NUMBERS)
    printed = io.StringIO()
    print_table(table, Console(width=width, file=printed))
    return printed.getvalue()


@pytest.mark.parametrize("width", [24, 40, 80, 100, 120, 160, 400])
def test_no_digit_is_lost_and_no_line_is_too_long(width):
    text = printed(width)
    assert all(line in text for number in NUMBERS for line in number.split("\n"))
    assert max(map(len, text.splitlines())) <= width


def test_what_has_no_room_follows_below_with_the_name_of_its_row():
    assert printed(400).count("manu paper") == 1
    narrow = printed(80)
    assert narrow.count("Scores (continued)") == narrow.count("manu paper") - 1 > 0
