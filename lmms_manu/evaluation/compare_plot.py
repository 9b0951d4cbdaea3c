"""The picture of a comparison: what every strength of every method forgot, over what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lmms_manu.errors import SettingError
from lmms_manu.evaluation.compare import Compared, Standing
from lmms_manu.files import atomic_path
from lmms_manu.report.cells import NOT_MEASURED, Row
from lmms_manu.report.verdict import COST, SHARE

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_CONTROL = "#999999"
_SALT = "frontier"


def draw(compared: Compared, file: Path) -> None:
    """Draws share forgotten over retain cost: a line for each method through its strengths, the chosen one filled.

    Behind each line lies the 95 % interval over people of the method's frontier, where it has one.

    Args:
        compared: what is drawn.
        file: an SVG, the same to the byte for the same numbers.

    Raises:
        SettingError: the drawing library is not installed.
    """
    try:
        import matplotlib

        matplotlib.use("svg")
        from matplotlib import pyplot
    except ImportError as error:
        raise SettingError("the picture needs matplotlib: pip install 'lmms-manu[report]'.") from error
    with matplotlib.rc_context({"svg.hashsalt": _SALT, "svg.fonttype": "none", "font.size": 9}):
        figure, axes = pyplot.subplots(figsize=(8.4, 4.2), layout="constrained")
        axes.axvspan(axes.get_xlim()[0] - 100, compared.budget, color="#009E73", alpha=0.08, lw=0)
        for number, one in enumerate(compared.standings):
            colour, mark = _COLOURS[number % len(_COLOURS)], _MARKS[number % len(_MARKS)]
            band = [(cost, cell.interval) for cost, cell in one.frontier.curve if cell.interval is not None]
            low, high = ([bounds[end] for _, bounds in band] for end in (0, 1))
            axes.fill_between([cost for cost, _ in band], low, high, color=colour, alpha=0.08, lw=0)
            reached = sorted(_places(compared, one))
            line: dict[str, Any] = {
                "color": colour,
                "marker": mark,
                "markerfacecolor": "white",
                "lw": 1.0,
                "alpha": 0.7,
            }
            x, y = [0.0, *(cost for cost, _ in reached)], [0.0, *(share for _, share in reached)]
            axes.plot(x, y, label=one.contender.name, **line)
            if (chosen := _place(one.row)) is not None:
                axes.plot(*chosen, marker=mark, color=colour, zorder=4)
            for row in one.controls:
                if (place := _place(row)) is not None:
                    axes.scatter(*place, marker="x", color=_CONTROL, zorder=2)
        axes.scatter([], [], marker="x", color=_CONTROL, label="random controls")
        for name, share in (("vanilla", 0.0), ("gold", 100.0)):
            axes.annotate(name, (0.0, share), (-6, 4), textcoords="offset points", ha="right")
            axes.scatter(0.0, share, marker="*", color="black", zorder=5)
        costs = [cost for one in compared.standings for cost, _ in _places(compared, one)]
        axes.set_xlim(min([-2.0, *costs]) - 0.5, max([compared.budget + 3, *costs]) + 1)
        axes.set_ylim(-6, 108)
        axes.set_xlabel("points lost on the people to retain")
        axes.set_ylabel("% of the way from vanilla to gold")
        axes.grid(alpha=0.25)
        figure.legend(loc="outside right upper", frameon=False)
        with atomic_path(file) as scratch:
            figure.savefig(scratch, format="svg", metadata={"Date": None})
        pyplot.close(figure)


def _places(compared: Compared, one: Standing) -> list[tuple[float, float]]:
    """Cost and share of every strength of a method."""
    rows = {row.name: row for row in compared.section.rows}
    names = [point.name for point in one.contender.points({}).values()]
    return [place for name in names if (place := _place(rows.get(name))) is not None]


def _place(row: Row | None) -> tuple[float, float] | None:
    if row is None:
        return None
    cost, share = (row.derived.get(name, NOT_MEASURED).value for name in (COST, SHARE))
    return None if cost is None or share is None else (cost, share)
