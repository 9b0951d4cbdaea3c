"""The one large plot: what was forgotten against what it cost, every point with its name and interval."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import altair

from lmms_manu.report.cells import NOT_MEASURED, Row, Section
from lmms_manu.report.page.charts import Charts, Plot, Record
from lmms_manu.report.verdict import BUDGET, COST, SHARE, shown_rows

NARROW = "-narrow"
"""What the drawing for phones has at the end of its place's name."""
_WIDTHS = {"": 1050.0, NARROW: 270.0}
_HEIGHT = 340.0
"""The size for which names are placed, in pixels."""
_LETTER, _LINE = 6.8, 15.0
_PLACES = tuple((side, up) for up in (-11, 12, -25, 26, -39, 40, -53, 54) for side in ("right", "left"))
_CONTROL, _GOLD, _RUN = "control", "gold", "run"


def frontiers(section: Section, charts: Charts) -> dict[str, Plot]:
    """The plot for wide and for narrow screens, by the end of its name; empty where nothing was measured."""
    drawn = {ending: _frontier(section, charts, width) for ending, width in _WIDTHS.items()}
    return {ending: plot for ending, plot in drawn.items() if plot is not None}


def _frontier(section: Section, charts: Charts, width: float) -> Plot | None:
    """Share forgotten over retain cost, with vanilla and gold; None where neither was measured."""
    records = list(_records(section))
    if not any(record["kind"] == _RUN for record in records):
        return None
    costs = [record[name] for record in records for name in ("cost", "cost high") if record[name] is not None]
    shares = [record[name] for record in records for name in ("share", "share low") if record[name] is not None]
    x_range = (min(-2.0, *costs), max(BUDGET + 3, *costs) * 1.04)
    y_range = (max(min(-5.0, *shares), -60.0), 108.0)
    for record, (side, up) in zip(records, _placed(records, x_range, y_range, width), strict=True):
        record["place"] = f"{side} {up}"
    x_scale = altair.Scale(domain=x_range, nice=False)
    x = altair.X("cost:Q", title="points lost on the retain set", axis=altair.Axis(tickCount=8), scale=x_scale)
    goal = "guessing" if section.evidence and not section.evidence.is_gold else "gold"
    y_scale = altair.Scale(domain=y_range, nice=False, clamp=True)
    y = altair.Y("share:Q", title=f"% of the way to {goal}", axis=altair.Axis(tickCount=6), scale=y_scale)
    data = altair.Data(values=records)
    base = altair.Chart(data).encode(x=x, y=y, color=charts.colour("run"))
    layers: list[Any] = [
        _corner(x_range, y_range),
        base.mark_rule(opacity=0.5, clip=True).encode(x=altair.X("cost low:Q"), x2="cost high:Q"),
        base.mark_rule(opacity=0.5, clip=True).encode(y=altair.Y("share low:Q"), y2="share high:Q"),
        base.mark_point(size=110, filled=True, opacity=1).encode(
            shape=altair.Shape(
                "kind:N",
                legend=None,
                scale=altair.Scale(domain=[_RUN, _GOLD, _CONTROL], range=["circle", "diamond", "triangle-up"]),
            ),
            tooltip=[altair.Tooltip("run:N")]
            + [altair.Tooltip(f"{name}:Q", format=".1f", title=title) for name, title in _TITLES.items()],
        ),
    ]
    for place in dict.fromkeys(record["place"] for record in records):
        side, up = place.split()
        is_right = side == "right"
        names = base.mark_text(align="left" if is_right else "right", dx=9 if is_right else -9, dy=int(up), fontSize=12)
        layers.append(names.transform_filter(f"datum.place === '{place}'").encode(text="run:N"))
    chart = altair.layer(*layers).properties(width="container", height=_HEIGHT, description=_title(section))
    shown = tuple({name: value for name, value in record.items() if name != "place"} for record in records)
    return Plot(f"frontier-{section.key}", _title(section), chart.to_dict(validate=False), shown)


_TITLES = {"share": "% of the way", "cost": "points lost"}


def _title(section: Section) -> str:
    return f"{section.title}: what was forgotten, and what it cost"


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


def _record(row: Row, kind: str, share: float, cost: float) -> Record:
    ends: Record = dict.fromkeys(("share low", "share high", "cost low", "cost high"))
    return {"run": row.name, "kind": kind, "share": share, "cost": cost, **ends}


def _corner(x_range: tuple[float, float], y_range: tuple[float, float]) -> Any:
    """The good corner: within the budget, and more than half of the way."""
    area = {"left": x_range[0], "right": BUDGET, "low": 50.0, "high": y_range[1], "word": "forgets much, costs little"}
    base = altair.Chart(altair.Data(values=[area]))
    rect = base.mark_rect(color="#009E73", opacity=0.1).encode(x="left:Q", x2="right:Q", y="low:Q", y2="high:Q")
    word = base.mark_text(align="left", baseline="bottom", dx=6, dy=-5, color="#009E73", fontStyle="italic").encode(
        x="left:Q", y="low:Q", text="word:N"
    )
    return altair.layer(rect, word)


@dataclasses.dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def _fits(box: _Box, width: float) -> bool:
    return box.left >= 0 and box.right <= width and box.top >= 0 and box.bottom <= _HEIGHT


def _placed(
    records: list[Record], x_range: tuple[float, float], y_range: tuple[float, float], size: float
) -> Iterator[tuple[str, int]]:
    """Where each name goes: beside its point, at the first place where it meets no other name and no point."""
    points = [
        (
            (record["cost"] - x_range[0]) / (x_range[1] - x_range[0]) * size,
            _HEIGHT - (record["share"] - y_range[0]) / (y_range[1] - y_range[0]) * _HEIGHT,
        )
        for record in records
    ]
    taken = [_Box(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    for record, (x, y) in zip(records, points, strict=True):
        width = len(record["run"]) * _LETTER
        for side, up in _PLACES:
            left = x + 9 if side == "right" else x - 9 - width
            box = _Box(left, y + up - _LINE / 2, left + width, y + up + _LINE / 2)
            if _fits(box, size) and not any(box.meets(other) for other in taken):
                break
        taken.append(box)
        yield side, up
