"""The kinds of chart that a report draws, in Vega-Lite, each with the numbers that it shows."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Sequence
from typing import Any

import altair

# Okabe and Ito's colours, which people with any colour vision can tell apart, without black and yellow.
_COLOURS: tuple[str, ...] = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
# Then Tol's, for more runs than those.
_COLOURS += ("#882255", "#117733", "#AA4499", "#44AA99", "#997700", "#6699CC")
_GREY = "#808080"
_HEIGHT = 240

Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Plot:
    """One chart.

    Args:
        id: of its place on the page.
        title: what it shows, for headings and screen readers.
        specification: of Vega-Lite.
        records: its numbers, for the table below it.
        note: what is said in its place where there is nothing to see.
    """

    id: str
    title: str
    specification: dict[str, Any]
    records: tuple[Record, ...]
    note: str = ""


class Charts:
    """Draws charts in which every name has the same colour.

    Args:
        names: the names of all runs, in order.
        grey: those of them that others are held against, such as controls.
    """

    def __init__(self, names: Sequence[str], grey: Collection[str] = ()) -> None:
        self._names = list(names)
        self._grey = frozenset(grey)

    def dots(self, title: str, records: Sequence[Record], axis: str) -> Plot | None:
        """Dots with intervals on one axis: a row for each `metric` and `run`, a shape for each `modality`."""
        if not records:
            return None
        domain = ["with the picture", "text only"]
        shape = altair.Shape(
            "modality:N",
            legend=altair.Legend(orient="bottom", title=None),
            scale=altair.Scale(domain=domain, range=["circle", "diamond"]),
        )
        step = 14 if len(_values("run", records)) < 12 else 9
        base = altair.Chart(_data(records)).encode(
            y=altair.Y("metric:N", title=None, sort=None),
            yOffset=altair.YOffset("run:N", sort=None),
            color=self._colour("run", records),
        )
        rules = base.mark_rule(strokeWidth=2, opacity=0.45).encode(
            x=altair.X("low:Q", title=axis, scale=altair.Scale(zero=False)), x2="high:Q"
        )
        points = base.mark_point(size=55, filled=True, opacity=1).encode(
            x=altair.X("value:Q", title=axis), shape=shape, tooltip=_tooltips(["run", "metric", "modality"], records)
        )
        plot = _plot(title, altair.layer(rules, points), records)
        # As high as its rows: Vega complains about a height by steps beside a width that fits its place.
        plot.specification["height"] = step * (len(_values("run", records)) + 1) * len(_values("metric", records))
        return plot

    def points(self, title: str, records: Sequence[Record], x: tuple[str, str], y: tuple[str, str]) -> Plot | None:
        """Points, one for each `run`, with a shape for each `source`; `x` and `y` are fields and their titles."""
        if not records:
            return None
        scale = altair.Scale(zero=False, padding=12)
        chart = altair.Chart(_data(records)).mark_point(size=120, filled=True, opacity=0.9)
        encoded = chart.encode(
            x=altair.X(f"{x[0]}:Q", title=x[1], scale=scale),
            y=altair.Y(f"{y[0]}:Q", title=y[1], scale=scale),
            color=self._colour("run", records),
            shape=altair.Shape("source:N", title=None, legend=altair.Legend(orient="bottom", title=None)),
            tooltip=_tooltips(["run", "source"], records),
        )
        return _plot(title, encoded, records)

    def by_layer(self, title: str, records: Sequence[Record], value: str, axis: str) -> Plot | None:
        """Lines of `value` over `layer`, one for each `run`."""
        if not records:
            return None
        chart = altair.Chart(_data(records)).mark_line(point=True)
        encoded = chart.encode(
            x=altair.X("layer:O", axis=altair.Axis(labelAngle=0)),
            y=altair.Y(f"{value}:Q", title=axis),
            color=self._colour("run", records),
            tooltip=_tooltips(["run", "layer"], records),
        )
        return _plot(title, encoded, records)

    def by_strength(self, title: str, records: Sequence[Record], strength: str, value: str, axis: str) -> Plot | None:
        """Lines of `value` over `strength`, coloured by `variant`, dashed by `share`."""
        if not records:
            return None
        base = altair.Chart(_data(records)).encode(
            x=altair.X("strength:Q", title=strength),
            y=altair.Y(f"{value}:Q", title=axis),
            color=Charts(_values("variant", records))._colour("variant", records),
            tooltip=_tooltips(["run", "share"], records),
        )
        return _plot(title, _dashed(base, "share"), records)

    def by_activation(self, title: str, records: Sequence[Record], colour: str, dash: str) -> Plot | None:
        """Lines of `neurons` over `mean |z|`, one for each `run`, coloured by the field `colour`, dashed by `dash`."""
        if not records:
            return None
        # Two decimals would not do for these numbers, so they come as texts.
        data = altair.InlineData(list(records), format=altair.DataFormat(parse={"mean |z|": "number"}))
        scale = altair.Scale(type="log", nice=False, padding=12)
        base = altair.Chart(data).encode(
            x=altair.X("mean |z|:Q", title="mean |z| of a neuron", scale=scale, axis=altair.Axis(tickCount=5)),
            y=altair.Y("neurons:Q", title="neurons"),
            color=self._colour(colour, records),
            detail="run:N",
            tooltip=[altair.Tooltip(f"{name}:N", title=name) for name in records[0]],
        )
        return _plot(title, _dashed(base, dash, size=16), records)

    def colour(self, field: str) -> altair.Color:
        """The colours of all runs, for a chart that names its points itself."""
        return self._colour(field, [{field: name} for name in self._names]).legend(None)

    def _colour(self, field: str, records: Sequence[Record]) -> altair.Color:
        shown = _values(field, records)
        legend = altair.Legend(orient="bottom", title=None, labelLimit=260, values=shown)
        cycle = itertools.cycle(_COLOURS)
        colours = [_GREY if name in self._grey else next(cycle) for name in self._names]
        scale = altair.Scale(domain=self._names, range=colours)
        return altair.Color(f"{field}:N", sort=None, legend=legend, scale=scale)


def _dashed(base: altair.Chart, field: str, size: int = 30) -> Any:
    """Lines dashed by `field`, and points of `size`: if the lines made them, the legend would show them, not dashes."""
    legend = altair.Legend(orient="bottom", title=None, symbolType="stroke", symbolSize=400, symbolStrokeColor=_GREY)
    dash = altair.StrokeDash(f"{field}:N", sort=None, legend=legend)
    return altair.layer(base.mark_line().encode(strokeDash=dash), base.mark_point(size=size, filled=True, opacity=1))


def _values(field: str, records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(record[field] for record in records))


def _data(records: Sequence[Record]) -> altair.Data:
    return altair.Data(values=list(records))


def _tooltips(names: Sequence[str], records: Sequence[Record]) -> list[altair.Tooltip]:
    numbers = [name for name in records[0] if name not in names and not isinstance(records[0][name], str)]
    texts = [altair.Tooltip(f"{name}:N", title=name) for name in names]
    return texts + [altair.Tooltip(f"{name}:Q", title=name, format=".2f") for name in numbers]


def _plot(title: str, chart: Any, records: Sequence[Record]) -> Plot:
    shown = chart.properties(width="container", height=_HEIGHT, description=title)
    return Plot("", title, shown.to_dict(validate=False), tuple(records))
