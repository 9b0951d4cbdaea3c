"""The picture of a comparison: what every strength of every method forgot, over what it cost."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lmms_manu.errors import SettingError
from lmms_manu.evaluation.compare import Compared, Standing
from lmms_manu.files import atomic_path
from lmms_manu.report.cells import NOT_MEASURED, Row
from lmms_manu.report.page.placing import Box, Point, Segment, place_names
from lmms_manu.report.verdict import COST, SHARE

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_CONTROL = "#767676"
_SALT = "frontier"
_PIXEL = 0.75
"""Points of a pixel, which names are placed in: so large that 9 points are as high as they are for a page."""
_DARKER = 0.7
"""What makes a line's colour dark enough to be read as text on white."""
_STEP = 6.0
"""Pixels of a line that a name may be in the way of, each."""


def draw(compared: Compared, file: Path) -> None:
    """Draws share forgotten over retain cost: a line for each method through its strengths, the chosen one filled.

    Each line has its name at its upper end, where it meets neither points nor other names; behind it lies the 95 %
    interval over people of the method's frontier, where it has one.

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
        named: list[_Named] = []
        passed: list[Sequence[Point]] = []
        for number, one in enumerate(compared.standings):
            colour, mark = _COLOURS[number % len(_COLOURS)], _MARKS[number % len(_MARKS)]
            band = [(cost, cell.interval) for cost, cell in one.frontier.curve if cell.interval is not None]
            low, high = ([bounds[end] for _, bounds in band] for end in (0, 1))
            axes.fill_between([cost for cost, _ in band], low, high, color=colour, alpha=0.08, lw=0)
            reached = sorted(_places(compared, one))
            passed.append([(0.0, 0.0), *reached])
            axes.plot(
                *zip(*passed[-1], strict=True), color=colour, marker=mark, markerfacecolor="white", lw=1, alpha=0.7
            )
            if (chosen := _place(one.row)) is not None:
                axes.plot(*chosen, marker=mark, color=colour, zorder=4)
            if reached:
                named.append(_Named(one.contender.name, max(reached, key=lambda place: place[1]), colour))
        controls = [place for one in compared.standings for row in one.controls if (place := _place(row)) is not None]
        if controls:
            axes.scatter(*zip(*controls, strict=True), marker="x", color=_CONTROL, zorder=2)
            named.append(_Named("random controls", max(controls), _CONTROL))
        for name, share in (("vanilla", 0.0), ("gold", 100.0)):
            axes.scatter(0.0, share, marker="*", color="black", zorder=5)
            named.append(_Named(name, (0.0, share), "black"))
        points = [place for line in passed for place in line]
        costs = [cost for cost, _ in points]
        axes.set_xlim(min([-2.0, *costs]) - 0.5, max([compared.budget + 3, *costs]) + 1)
        axes.set_ylim(-6, 108)
        axes.set_xlabel("points lost on the people to retain")
        axes.set_ylabel("% of the way from vanilla to gold")
        axes.grid(alpha=0.25)
        _write_names(axes, named, [*points, *controls], passed)
        with atomic_path(file) as scratch:
            figure.savefig(scratch, format="svg", metadata={"Date": None})
        pyplot.close(figure)


@dataclasses.dataclass(frozen=True)
class _Named:
    """A name, where its point is, and its colour."""

    text: str
    place: Point
    colour: str


def _write_names(axes: Any, named: Sequence[_Named], points: Sequence[Point], lines: Sequence[Sequence[Point]]) -> None:
    """Writes names beside their points, as near as there is room."""
    from matplotlib.colors import to_rgb  # an optional dependency, which the caller has found

    axes.figure.canvas.draw()  # which lays the picture out, so that pixels are known
    frame = axes.get_window_extent()
    pixel = _PIXEL * axes.figure.dpi / 72

    def pixels(place: Point) -> Point:
        across, up = axes.transData.transform(place)
        return (across - frame.x0) / pixel, (frame.y1 - up) / pixel

    steps = [step for line in lines for ends in itertools.pairwise(map(pixels, line)) for step in _steps(*ends)]
    others = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in map(pixels, points)]
    placed = place_names(
        [one.text for one in named],
        [pixels(one.place) for one in named],
        steps,
        frame.width / pixel,
        frame.height / pixel,
        others,
    )
    for one, place in zip(named, placed, strict=True):
        leader = {"arrowstyle": "-", "lw": 0.6, "color": one.colour, "shrinkA": 0, "shrinkB": 3}
        axes.annotate(
            one.text,
            one.place,
            (place.right * _PIXEL, -place.down * _PIXEL),
            textcoords="offset points",
            ha="center",
            va="center",
            color=[_DARKER * part for part in to_rgb(one.colour)],
            arrowprops=leader if place.has_leader else None,
        )


def _steps(start: Point, stop: Point) -> Iterator[Segment]:
    """A line as small pieces, each of which a name may be in the way of."""
    count = max(1, int(math.dist(start, stop) / _STEP))
    for number in range(count + 1):
        x, y = (one + (other - one) * number / count for one, other in zip(start, stop, strict=True))
        yield (x, y), (x, y)


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
