"""The kinds of chart that a report draws, in Vega-Lite, each with the numbers that it shows."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import altair

# Okabe and Ito's colours, which people with any colour vision can tell apart, without black and yellow.
_COLOURS: tuple[str, ...] = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
# Then Tol's, for more runs than those.
_COLOURS += ("#882255", "#117733", "#AA4499", "#44AA99", "#997700", "#6699CC")
_GREY = "#808080"
_HEIGHT = 240
FITTING = 0
"""The width of a drawing that takes the width of its place."""
_WIDE, _MIDDLE, _NARROW = 1140.0, 640.0, 320.0
_NAME_LETTER, _NAME_LETTERS = 6.2, 34

Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Plot:
    """One chart.

    Args:
        id: of its place on the page.
        title: what it shows, for headings and screen readers.
        drawings: specifications of Vega-Lite by the width that they are made for, `FITTING` for one that takes the
            width of its place.
        records: its numbers, for the table below it.
        caption: what a reader has to know: what is good, what the lines are.
    """

    id: str
    title: str
    drawings: Mapping[int, dict[str, Any]]
    records: tuple[Record, ...]
    caption: str = ""


class Charts:
    """Draws charts in which every name has the same colour.

    Args:
        names: the names of all runs, in order.
        grey: those of them that others are held against, such as controls.
    """

    def __init__(self, names: Sequence[str], grey: Collection[str] = ()) -> None:
        self._names = list(dict.fromkeys(names))
        self._grey = frozenset(grey)

    def levels(self, title: str, records: Sequence[Record], caption: str) -> Plot | None:
        """A panel for each `metric`, in which each `run` has a line with its dots: a shape for each `modality`."""
        if not records:
            return None
        panels, runs = len(_values("metric", records)), _values("run", records)
        room = _NAME_LETTER * min(max(map(len, runs)), _NAME_LETTERS) + 20
        wide = max(110.0, (_WIDE - room) / panels - 24)
        drawings = {
            int(_WIDE): self._panels(title, records, wide, panels),
            int(_MIDDLE): self._panels(title, records, (_MIDDLE - room) / 2 - 24, 2),
            int(_NARROW): self._panels(title, records, _NARROW - min(room, 120.0), 1),
        }
        return Plot("", title, drawings, tuple(records), caption)

    def _panels(self, title: str, records: Sequence[Record], width: float, columns: int) -> dict[str, Any]:
        domain = ["with the picture", "text only"]
        shape = altair.Shape(
            "modality:N",
            legend=altair.Legend(orient="bottom", title=None),
            scale=altair.Scale(domain=domain, range=["circle", "diamond"]),
        )
        labels = altair.Axis(labelLimit=120 if columns == 1 else int(_NAME_LETTER * _NAME_LETTERS), ticks=False)
        base = altair.Chart().encode(
            y=altair.Y("run:N", title=None, sort=_values("run", records), axis=labels, scale=altair.Scale(padding=0.2)),
            yOffset=altair.YOffset("modality:N", sort=domain),
            color=self._colour("run", records).legend(None),
        )
        scale = altair.Scale(zero=False)
        x = altair.X("value:Q", title=None, scale=scale, axis=altair.Axis(tickCount=4))
        rules = base.mark_rule(strokeWidth=1.5, opacity=0.45).encode(x=altair.X("low:Q", scale=scale), x2="high:Q")
        points = base.mark_point(size=45, filled=True, opacity=1).encode(
            x=x, shape=shape, tooltip=_tooltips(["run", "metric", "modality"], records)
        )
        has_intervals = any(record["low"] is not None for record in records)
        layer = altair.layer(*([rules] if has_intervals else []), points).properties(width=width, height=altair.Step(9))
        head = altair.Header(title=None, labelFontWeight="bold", labelFontSize=12)
        chart = layer.facet(
            facet=altair.Facet("metric:N", sort=_values("metric", records), header=head),
            columns=columns,
            data=_data(records),
            spacing={"column": 18, "row": 14},
        )
        drawn: dict[str, Any] = chart.properties(description=title).to_dict(validate=False)
        return drawn

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
    return Plot("", title, {FITTING: shown.to_dict(validate=False)}, tuple(records))
