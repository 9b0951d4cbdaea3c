"""The one large plot: what was forgotten against what it cost, every point with its name and interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import altair

from lmms_manu.report.cells import NOT_MEASURED, Row, Section
from lmms_manu.report.page.charts import Charts, Plot, Record
from lmms_manu.report.page.placing import LINE, Box, Point, Segment, leader_end, place_names, text_width
from lmms_manu.report.short_names import shortened
from lmms_manu.report.verdict import BUDGET, COST, SHARE, shown_rows

_SIZES = ((1060.0, 380.0), (620.0, 420.0), (290.0, 520.0))
"""Width and height of the drawings for wide, middle and narrow screens: names are placed for a size."""
_LONGEST = 0.42
"""The part of the width that a name may take."""
_CORNER = "forgets much, costs little"
_LINE = "#808080"
_CONTROL, _GOLD, _RUN = "control", "gold", "run"
_CAPTION = (
    "Up is more forgotten, left is less lost: good is the upper left corner. Lines are 95 % intervals over people, of "
    "means over seeds the lowest and the highest. Circles are runs, diamonds vanilla and gold, triangles controls. "
    "Grey lines are the frontiers of methods that ran at several strengths, the bands behind them their intervals."
)


def frontier(section: Section, charts: Charts) -> Plot | None:
    """Share forgotten over retain cost, with vanilla and gold; None where no run has both.

    Args:
        section: the section.
        charts: of its short names.
    """
    records = list(_records(shortened(section)))
    if not any(record["kind"] == _RUN for record in records):
        return None
    title = f"{section.title}: what was forgotten, and what it cost"
    goal = "guessing" if section.evidence and not section.evidence.is_gold else "gold"
    curves = list(_curves(section))
    drawings = {int(size[0]) + 60: _drawing(records, curves, charts, title, goal, size) for size in _SIZES}
    return Plot(f"frontier-{section.key}", title, drawings, tuple(records), _CAPTION)


def _records(section: Section) -> Iterator[Record]:
    if section.baseline is not None:
        yield _record(section.baseline, _GOLD, 0.0, 0.0)
    for row in shown_rows(section):
        share, cost = (row.derived.get(name, NOT_MEASURED) for name in (SHARE, COST))
        if share.value is not None and cost.value is not None:
            kind = _GOLD if row.is_gold else _CONTROL if row.is_control else _RUN
            record = _record(row, kind, share.value, cost.value)
            record["share low"], record["share high"] = share.interval or share.spread or (None, None)
            record["cost low"], record["cost high"] = cost.interval or cost.spread or (None, None)
            yield record


def _curves(section: Section) -> Iterator[Record]:
    """The frontier of each method that ran at several strengths, at even costs."""
    for frontier in section.frontiers:
        for cost, cell in frontier.curve:
            low, high = cell.interval or (None, None)
            yield {"method": frontier.name, "cost": cost, "share": cell.value, "low": low, "high": high}


def _record(row: Row, kind: str, share: float, cost: float) -> Record:
    ends: Record = dict.fromkeys(("share low", "share high", "cost low", "cost high"))
    return {"run": row.name, "kind": kind, "share": share, "cost": cost, **ends}


def _drawing(
    records: Sequence[Record],
    curves: Sequence[Record],
    charts: Charts,
    title: str,
    goal: str,
    size: tuple[float, float],
) -> dict[str, Any]:
    costs = [record[name] for record in records for name in ("cost", "cost low", "cost high") if record[name]]
    shares = [record[name] for record in records for name in ("share", "share low") if record[name]]
    span = max(BUDGET + 3, *costs) - min(0.0, *costs)
    x_range = (min(0.0, *costs) - 0.04 * span, max(BUDGET + 3, *costs) + 0.04 * span)
    y_range = (max(min(0.0, *shares), -60.0) - 10.0, 110.0)
    x_scale = altair.Scale(domain=x_range, nice=False)
    x = altair.X("cost:Q", title="points lost on the retain set", scale=x_scale, axis=altair.Axis(tickCount=6))
    y_scale = altair.Scale(domain=y_range, nice=False, clamp=True)
    y = altair.Y("share:Q", title=f"% of the way to {goal}", scale=y_scale, axis=altair.Axis(tickCount=6))
    base = altair.Chart()
    points = base.encode(x=x, y=y, color=charts.colour("run"))
    tooltips = [altair.Tooltip(f"{name}:Q", format=".1f", title=title) for name, title in _TITLES.items()]
    shapes = altair.Scale(domain=[_RUN, _GOLD, _CONTROL], range=["circle", "diamond", "triangle-up"])
    leaders = base.mark_rule(strokeWidth=0.7, opacity=0.7, x2Offset=_of("leader x"), y2Offset=_of("leader y"))
    names = base.encode(x=x, y=y).mark_text(baseline="middle", fontSize=12, dx=_of("name x"), dy=_of("name y"))
    chart = altair.layer(
        _corner(x_range, y_range),
        *(_frontiers(curves) if curves else ()),
        points.mark_rule(opacity=0.45, clip=True).encode(x=altair.X("cost low:Q"), x2="cost high:Q"),
        points.mark_rule(opacity=0.45, clip=True).encode(y=altair.Y("share low:Q"), y2="share high:Q"),
        leaders.encode(x=x, y=y, x2="cost", y2="share", color=charts.colour("run")),
        points.mark_point(size=90, filled=True, opacity=1).encode(
            shape=altair.Shape("kind:N", legend=None, scale=shapes), tooltip=[altair.Tooltip("run:N"), *tooltips]
        ),
        names.encode(text="name:N"),
        data=altair.Data(values=_with_places(records, x_range, y_range, size)),
    )
    drawn: dict[str, Any] = chart.properties(width=size[0], height=size[1], description=title).to_dict(validate=False)
    return drawn


_TITLES = {"share": "% of the way", "cost": "points lost"}


def _of(field: str) -> Any:
    return altair.ExprRef(f"datum['{field}']")


def _frontiers(curves: Sequence[Record]) -> tuple[Any, Any]:
    """The line of each method through its strengths, and behind it the interval."""
    base = altair.Chart(altair.Data(values=list(curves))).encode(x="cost:Q", detail="method:N")
    band = base.mark_area(color=_LINE, opacity=0.12, clip=True).encode(y="low:Q", y2="high:Q")
    line = base.mark_line(color=_LINE, opacity=0.6, strokeWidth=1, clip=True).encode(y="share:Q")
    return band, line


def _corner(x_range: Point, y_range: Point) -> Any:
    """The good corner: within the budget, and more than half of the way."""
    area = {"left": x_range[0], "right": BUDGET, "low": 50.0, "high": y_range[1], "word": _CORNER}
    base = altair.Chart(altair.Data(values=[area]))
    rect = base.mark_rect(color="#009E73", opacity=0.1).encode(x="left:Q", x2="right:Q", y="low:Q", y2="high:Q")
    word = base.mark_text(align="left", baseline="bottom", dx=6, dy=-5, fontStyle="italic").encode(
        x="left:Q", y="low:Q", text="word:N"
    )
    return altair.layer(rect, word)


def _with_places(records: Sequence[Record], x_range: Point, y_range: Point, size: tuple[float, float]) -> list[Record]:
    """The records with where each name stands, and where the line to it ends."""
    width, height = size

    def pixels(cost: float, share: float) -> Point:
        high, low = max(y_range), min(y_range)
        across = (cost - x_range[0]) / (x_range[1] - x_range[0]) * width
        return across, (high - min(max(share, low), high)) / (high - low) * height

    points = [pixels(record["cost"], record["share"]) for record in records]
    lines: list[Segment] = []
    for record in records:
        if record["cost low"] is not None:
            ends = (pixels(record[f"cost {end}"], record["share"]) for end in ("low", "high"))
            lines.append((next(ends), next(ends)))
        if record["share low"] is not None:
            ends = (pixels(record["cost"], record[f"share {end}"]) for end in ("low", "high"))
            lines.append((next(ends), next(ends)))
    names = [_cut(record["run"], _LONGEST * width) for record in records]
    word = pixels(x_range[0], 50.0)
    corner = Box(word[0], word[1] - 2 * LINE, word[0] + text_width(_CORNER), word[1])
    placed = place_names(names, points, lines, width, height, [corner])
    found = []
    for record, name, place in zip(records, names, placed, strict=True):
        leader = leader_end(place, name) if place.has_leader else (0.0, 0.0)
        places = {"name x": place.right, "name y": place.down, "leader x": leader[0], "leader y": leader[1]}
        found.append({**record, "name": name, **places})
    return found


def _cut(name: str, width: float) -> str:
    """A name that is no wider than `width`, cut in the middle, since names differ at their ends."""
    if text_width(name) <= width:
        return name
    kept = max(4, int(len(name) * width / text_width(name)) - 1)
    return f"{name[: kept - kept // 2]}…{name[len(name) - kept // 2 :]}"
