"""The demonstration's one table: every score by split and modality, and what was forgotten against what was lost."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table

from lmms_manu.evaluation.demo import SCORES, Scores, Subject, drop
from lmms_manu.mllmu.names import SPLITS
from lmms_manu.names import MODALITIES
from lmms_manu.terminal import print_table, table_console

_HEADS = {"classification": "acc", "generation": "R-L", "cloze": "cloze"}


@dataclasses.dataclass(frozen=True)
class Row:
    """A method in one modality.

    Args:
        method: recipe and prune rate.
        modality: of the questions.
        cells: the scores in the order of `columns()`, each as printed.
        drops: the forget drop, the retain drop and their difference, in points, each as printed.
    """

    method: str
    modality: str
    cells: tuple[str, ...]
    drops: tuple[str, ...]


def columns() -> Iterator[tuple[str, str]]:
    """Split and task of each score column."""
    return itertools.product(SPLITS, SCORES)


def rows(scores: dict[Subject, Scores]) -> list[Row]:
    """The table of all subjects; the draws of a control are one method, with mean and range."""
    vanilla = next(values for subject, values in scores.items() if subject.recipe == "vanilla")
    methods: dict[str, list[Scores]] = {}
    for subject, values in scores.items():
        methods.setdefault(subject.method, []).append(values)
    return [_row(method, modality, draws, vanilla) for method, draws in methods.items() for modality in MODALITIES]


def show(table: Sequence[Row], *, markdown: bool) -> None:
    """Prints the table, for a terminal or as Markdown."""
    heads = [f"{split} {_HEADS[task]}" for split, task in columns()]
    heads = ["method", "modality", *heads, "forget drop", "retain drop", "difference"]
    lines = [[row.method, row.modality, *row.cells, *row.drops] for row in table]
    if markdown:
        for line in (heads, ["---"] * len(heads), *lines):
            print("| " + " | ".join(cell.replace("\n", " ") for cell in line) + " |")
        return
    grid = Table(
        title="Percent; drops in points below vanilla, mean of the three scores; in brackets the range of five draws",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for number, head in enumerate(heads):
        grid.add_column(head.replace(" ", "\n"), justify="left" if number < 2 else "right", no_wrap=True)
    for number, line in enumerate(lines):
        grid.add_row(*line, end_section=number % len(MODALITIES) == 1)
    print_table(grid, table_console(200))


def _row(method: str, modality: str, draws: list[Scores], vanilla: Scores) -> Row:
    cells = [[values[split, task, modality] for values in draws] for split, task in columns()]
    forget = [drop(values, vanilla, "forget", modality) for values in draws]
    retain = [drop(values, vanilla, "retain", modality) for values in draws]
    difference = [a - b for a, b in zip(forget, retain, strict=True)]
    if method == "vanilla":
        drops: tuple[str, ...] = ("", "", "")
    else:
        drops = tuple(_cell(values, signed=True) for values in (forget, retain, difference))
    return Row(method, modality, tuple(_cell(values) for values in cells), drops)


def _cell(values: Sequence[float], *, signed: bool = False) -> str:
    """A value, or the mean of several with their range where they differ."""
    mean, least, most = (_number(value, signed) for value in (statistics.fmean(values), min(values), max(values)))
    return mean if least == most else f"{mean}\n[{least}, {most}]"


def _number(value: float, signed: bool) -> str:
    rounded = round(value, 1) + 0.0  # not -0
    return (f"{rounded:+.1f}" if signed and rounded else f"{rounded:.1f}").removesuffix(".0")
