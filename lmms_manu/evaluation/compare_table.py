"""A comparison as text: a verdict in three sentences, a row for each method at its strength, and every strength."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from rich import box
from rich.table import Table

from lmms_manu.benchmarks.base import MODALITIES
from lmms_manu.evaluation.compare import Compared, Standing
from lmms_manu.report.cells import NOT_MEASURED, Cell, Row
from lmms_manu.report.formats.markdown import escape
from lmms_manu.report.formats.numbers import DASH, interval_text, plain
from lmms_manu.report.frontiers import COSTS
from lmms_manu.report.verdict import COST, SHARE, beyond_control, costs, dearest
from lmms_manu.terminal import print_table, table_console

WIDTH = 100

Lines = list[list[str]]


def verdict(compared: Compared) -> list[str]:
    """What the numbers come to, in three sentences: two of one method alone, one where no number can tell."""
    if all(row.derived[SHARE].value is None for row in compared.section.rows if row.derived):
        return ["No verdict: no number shows that the model knew the people to forget before, so none can show less."]
    ranked = sorted(_within(compared), key=lambda one: -_value(one.row, SHARE))
    found = [_of_reference(compared), _of_best(compared, ranked)]
    return [*found, _of_others(compared, ranked)] if len(compared.standings) > 1 else found


def summary(compared: Compared) -> tuple[list[str], Lines]:
    """The heads and a line for each method at the strength that was chosen, gold first where there is one."""
    kept = [name for name in _costs(compared) if name != COST]
    heads = ["method", "strength", "share forgotten", "with picture", "as text", "test", "retain cost"]
    heads += [f"{name.removesuffix('_cost').replace('_', ' ')} cost" for name in kept]
    heads += ["damage", "control"]
    names = (f"{SHARE}_{MODALITIES[0]}", f"{SHARE}_{MODALITIES[1]}", f"{SHARE}_test", COST, *kept, "damage")
    lines = [
        ["gold", DASH, _with_interval(row.derived.get(SHARE, NOT_MEASURED)), *_numbers(row, names), DASH]
        for row in compared.section.rows
        if row.is_gold
    ]
    for one in compared.standings:
        if one.row is None:
            lines.append([one.contender.name, f"none within {compared.budget:g}", *[DASH] * (len(heads) - 2)])
            continue
        strength = one.contender.strength_text(one.chosen.strength) if one.chosen else DASH
        lines.append([one.contender.name, strength, _share_text(one), *_numbers(one.row, names), _control_text(one)])
    return heads, lines


def frontier(compared: Compared) -> tuple[list[str], Lines]:
    """The heads and a line for each method: its share at each of `COSTS`."""
    heads = ["method", *(f"share at a cost of {cost:g}" for cost in COSTS)]
    return heads, [[one.contender.name, *map(_at_cost, one.frontier.at.values())] for one in compared.standings]


def strengths(compared: Compared) -> tuple[list[str], Lines]:
    """The heads and a line for each strength of each method: on validation people, and on the others."""
    heads = ["method", "strength", "validation: forgotten", "validation: cost", "share forgotten", "retain cost", ""]
    rows = {row.name: row for row in compared.section.rows}
    lines = []
    for one in compared.standings:
        points = one.contender.points({})
        for trial in one.trials:
            row = rows[points[trial.strength].name]
            told = [_with_interval(row.derived.get(name, NOT_MEASURED), 1) for name in (SHARE, COST)]
            tried = [plain(trial.forgotten, 1), plain(trial.cost, 1)]
            mark = "chosen" if trial is one.chosen else ""
            lines.append([one.contender.name, one.contender.strength_text(trial.strength), *tried, *told, mark])
    return heads, lines


def show(table: tuple[Sequence[str], Lines], title: str) -> None:
    """Prints a table for a terminal, within `WIDTH` columns where it is a pipe."""
    heads, lines = table
    grid = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, head in enumerate(heads):
        grid.add_column("\n".join(head.rsplit(" ", 1)), justify="left" if number < 2 else "right", no_wrap=True)
    for line in lines:
        grid.add_row(*line)
    print_table(grid, table_console(WIDTH))


def as_markdown(table: tuple[Sequence[str], Lines]) -> str:
    """The table as Markdown."""
    heads, lines = table
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(
        ["| " + " | ".join(line) + " |" for line in (map(escape, heads), rule)]
        + ["| " + " | ".join(map(escape, line)) + " |" for line in lines]
    )


def document(compared: Compared) -> str:
    """All of it as Markdown."""
    parts = [
        "\n".join(verdict(compared)),
        as_markdown(summary(compared)),
        as_markdown(frontier(compared)),
        as_markdown(strengths(compared)),
    ]
    return "\n\n".join(parts) + "\n"


def _of_reference(compared: Compared) -> str:
    section = compared.section
    gold = next((row for row in section.rows if row.is_gold), None)
    known = _score(compared, section.baseline)
    if gold is None:
        return f"Vanilla scores {known:.0f} of 100 on the people to forget; there is no gold, so 100 % is guessing."
    return (
        f"Vanilla scores {known:.0f} of 100 on the people to forget and gold, which never met them, "
        f"{_score(compared, gold):.0f}: a method that works goes from the one to the other (0 to 100 %)."
    )


def _of_best(compared: Compared, ranked: Sequence[Standing]) -> str:
    if not ranked:
        return f"No method stays within {compared.budget:g} points on what is to be kept."
    best = ranked[0]
    assert best.row is not None
    strength = f" at {best.contender.strength_text(best.chosen.strength)}" if best.chosen else ""
    said = (
        f"Within {compared.budget:g} points on what is to be kept, {best.contender.name}{strength} goes furthest: "
        f"{_with_interval(best.row.derived[SHARE])} % of the way for {_value(best.row, COST):.1f} points"
    )
    if best.controls:
        told = {"yes": "beyond", "no": "not beyond", "": "beside"}[beyond_control(best.row, compared.section.rows)]
        return f"{said}, {told} its random control ({_control_text(best)} %)."
    return f"{said}; it has no control here."


def _of_others(compared: Compared, ranked: Sequence[Standing]) -> str:
    names = [f"{one.contender.name} {_value(one.row, SHARE):.0f}" for one in ranked[1:]]
    within = f"Behind it, in percent of the way: {', '.join(names)}" if names else "No other method stays within that"
    beyond = [one.contender.name for one in compared.standings if one not in ranked]
    return within + (f"; beyond the budget, so without a rank: {', '.join(beyond)}." if beyond else ".")


def _within(compared: Compared) -> Iterator[Standing]:
    """The methods that kept within the budget on the reported people too."""
    for one in compared.standings:
        lost = None if one.row is None else dearest(one.row)
        if one.row is None or one.row.derived.get(SHARE, NOT_MEASURED).value is None:
            continue
        if lost is not None and lost <= compared.budget:
            yield one


def _score(compared: Compared, row: Row | None) -> float:
    """The mean score of a row on the forget set, of 100, over what can tell."""
    section = compared.section
    evidence = section.evidence
    values = [
        100 * value / column.metric.maximum
        for column in section.columns
        if column.is_forgotten and column.split == "forget" and column.metric.in_rates
        for view in MODALITIES
        if row is not None
        and (value := row.cell(column, view).value) is not None
        and (evidence is None or evidence.tells(column, view))
    ]
    return float(np.mean(values)) if values else float("nan")


def _costs(compared: Compared) -> list[str]:
    return list(dict.fromkeys(name for row in compared.section.rows for name in costs(row)))


def _numbers(row: Row, names: Sequence[str]) -> list[str]:
    cells = [row.derived.get(name, NOT_MEASURED) for name in names]
    return [DASH if cell.value is None else plain(cell.value, 1) for cell in cells]


def _value(row: Row | None, name: str) -> float:
    value = None if row is None else row.derived.get(name, NOT_MEASURED).value
    return float("-inf") if value is None else value


def _with_interval(cell: Cell, digits: int = 0) -> str:
    if cell.value is None:
        return DASH
    value = plain(cell.value, digits)
    # Of gold, which is the measure.
    is_exact = cell.interval is not None and {plain(bound, digits) for bound in cell.interval} == {value}
    return value if is_exact else f"{value} {interval_text(cell.interval, digits)}".strip()


def _share_text(one: Standing) -> str:
    """The share forgotten with its interval; of several seeds the mean and the range."""
    assert one.row is not None
    if not one.repeats:
        return _with_interval(one.row.derived.get(SHARE, NOT_MEASURED))
    values = [_value(row, SHARE) for row in (one.row, *one.repeats)]
    return f"{plain(float(np.mean(values)), 0)}, {plain(min(values), 0)} to {plain(max(values), 0)}"


def _at_cost(cell: Cell) -> str:
    told = [] if cell.value is None else [_with_interval(cell)]
    return ", ".join(filter(None, [*told, cell.note])) or DASH


def _control_text(one: Standing) -> str:
    """The range of the controls' shares; a dash without controls."""
    shares = [value for row in one.controls if (value := row.derived.get(SHARE, NOT_MEASURED).value) is not None]
    if not shares:
        return DASH
    low, high = plain(min(shares), 0), plain(max(shares), 0)
    return low if low == high else f"{low} to {high}"
