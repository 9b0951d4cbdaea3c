"""The demonstration's one table: every score by split and modality, and what was forgotten against what was lost."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich import box
from rich.table import Table

from lmms_manu.benchmarks.mllmu.names import SPLITS
from lmms_manu.evaluation.demo import GOLD, SCORES, VANILLA, DemoModel, Scores, drop, share_forgotten
from lmms_manu.names import MODALITIES
from lmms_manu.terminal import print_table, table_console

BUDGET = 5
"""Points that may be lost on the people to retain."""

_HEADS = {"classification": "acc", "generation": "R-L", "cloze": "cloze"}


@dataclasses.dataclass(frozen=True)
class DemoRow:
    """A method in one modality.

    Args:
        method: recipe and prune rate.
        modality: of the questions.
        cells: the scores in the order of `columns()`, each as printed.
        drops: the share forgotten in percent, and the forget and the retain drop in points, each as printed.
    """

    method: str
    modality: str
    cells: tuple[str, ...]
    drops: tuple[str, ...]


def columns() -> Iterator[tuple[str, str]]:
    """Split and task of each score column."""
    return itertools.product(SPLITS, SCORES)


def rows(scores: dict[DemoModel, Scores]) -> list[DemoRow]:
    """The table of all subjects; the draws of a control are one method, with mean and range."""
    methods = _by_method(scores)
    (vanilla,), (gold,) = methods[VANILLA], methods[GOLD]
    return [
        _row(method, modality, draws, vanilla, gold) for method, draws in methods.items() for modality in MODALITIES
    ]


def verdict(scores: dict[DemoModel, Scores]) -> list[str]:
    """What the numbers come to, in three sentences; chosen among the rows shown, so it predicts nothing."""
    methods = _by_method(scores)
    (vanilla,), (gold,) = methods[VANILLA], methods[GOLD]

    def mean(method: str, of: Callable[[Scores, str], float]) -> float:
        draws = methods[method]
        return statistics.fmean(of(draw, modality) for draw in draws for modality in MODALITIES)

    share = {
        name: mean(name, lambda draw, modality: share_forgotten(draw, vanilla, gold, modality)) for name in methods
    }
    cost = {name: mean(name, lambda draw, modality: drop(draw, vanilla, "retain", modality)) for name in methods}
    known, never = (
        statistics.fmean(values["forget", "classification", modality] for modality in MODALITIES)
        for values in (vanilla, gold)
    )
    edited = [name for name in methods if name not in (VANILLA, GOLD) and not name.startswith("random like")]
    within = sorted((name for name in edited if cost[name] <= BUDGET), key=lambda name: -share[name])
    best = within[0] if within else None
    lines = [
        f"Vanilla answers {known:.0f} % of the choices about the people to forget, gold, which never met them, "
        f"{never:.0f} %: a method that works goes from the one to the other.",
        f"At a cost of at most {BUDGET} points on the others, {best} goes furthest: {share[best]:.0f} % of the way to "
        f"gold for {cost[best]:.1f} points{_of_control(best, share)}."
        if best is not None
        else f"No method keeps the others within {BUDGET} points.",
    ]
    beyond = sorted((name for name in edited if cost[name] > BUDGET), key=lambda name: -share[name])
    told = ", ".join(f"{name} ({share[name]:.0f} % for {cost[name]:.0f} points)" for name in beyond)
    lines.append(f"Beyond that cost: {told}." if told else "No method costs more than that.")
    return lines


def _of_control(method: str, share: Mapping[str, float]) -> str:
    control = share.get(f"random like {method}")
    return f"; as many neurons of each layer drawn at random go {control:.0f} %" if control is not None else ""


def _by_method(scores: dict[DemoModel, Scores]) -> dict[str, list[Scores]]:
    methods: dict[str, list[Scores]] = {}
    for subject, values in scores.items():
        methods.setdefault(subject.method, []).append(values)
    return methods


def show(table: Sequence[DemoRow], *, markdown: bool) -> None:
    """Prints the table, for a terminal or as Markdown."""
    heads = [f"{split} {_HEADS[task]}" for split, task in columns()]
    heads = ["method", "modality", *heads, "share forgotten", "forget drop", "retain drop"]
    lines = [[row.method, row.modality, *row.cells, *row.drops] for row in table]
    if markdown:
        for line in (heads, ["---"] * len(heads), *lines):
            print("| " + " | ".join(cell.replace("\n", " ") for cell in line) + " |")
        return
    grid = Table(
        title="Percent. Share forgotten: from vanilla (0) to gold (100). Drops: points below vanilla, mean of the "
        "three scores. In brackets: the range of three draws.",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for number, head in enumerate(heads):
        grid.add_column(head.replace(" ", "\n"), justify="left" if number < 2 else "right", no_wrap=True)
    for number, line in enumerate(lines):
        grid.add_row(*line, end_section=number % len(MODALITIES) == 1)
    print_table(grid, table_console(200))


def _row(method: str, modality: str, draws: list[Scores], vanilla: Scores, gold: Scores) -> DemoRow:
    cells = [[values[split, task, modality] for values in draws] for split, task in columns()]
    forget = [drop(values, vanilla, "forget", modality) for values in draws]
    retain = [drop(values, vanilla, "retain", modality) for values in draws]
    share = [share_forgotten(values, vanilla, gold, modality) for values in draws]
    drops = (_cell(share), *(_cell(values, signed=True) for values in (forget, retain)))
    if method == VANILLA:
        drops = ("", "", "")
    return DemoRow(method, modality, tuple(_cell(values) for values in cells), drops)


def _cell(values: Sequence[float], *, signed: bool = False) -> str:
    """A value, or the mean of several with their range where they differ."""
    mean, least, most = (_number(value, signed) for value in (statistics.fmean(values), min(values), max(values)))
    return mean if least == most else f"{mean}\n[{least}, {most}]"


def _number(value: float, signed: bool) -> str:
    rounded = round(value, 1) + 0.0  # not -0
    return (f"{rounded:+.1f}" if signed and rounded else f"{rounded:.1f}").removesuffix(".0")
