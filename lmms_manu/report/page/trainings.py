"""How the models were trained: their cross-entropies over the steps, a small plot for all seeds of an edit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair

from lmms_manu.report.controls import controlled
from lmms_manu.report.page.charts import FITTING, Plot, Record
from lmms_manu.report.runs import Run

_HEIGHT = 190
_POINTS = 25
"""So many points of a curve are drawn at most, each the mean over a window of it."""

_SETS = ("learn", "retain")
_COLOURS = {"to forget": "#D55E00", "to learn": "#D55E00", "to retain": "#0072B2"}
_NEAR = 0.1
"""Names at the ends of two lines that are nearer than this share of the height would touch."""

_CAPTION = (
    "Mean cross-entropy of an answer's tokens along the way, means over some steps, a line for each seed; dashed are "
    "controls, which forget others. Up is less known."
)


def trainings_of(runs: Sequence[Run]) -> list[Plot]:
    """A plot for each edit that was trained; its seeds are lines of one, and its controls dashed ones."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if run.edit is not None and run.edit.details.get("curve"):
            groups.setdefault(_name(run), []).append(run)
    return [_plot(f"training-{number}", name, own) for number, (name, own) in enumerate(groups.items(), 1)]


def _name(run: Run) -> str:
    assert run.edit is not None
    like = controlled(run)
    edit = run.edit if like is None else dataclasses.replace(run.edit, variant=like)
    return edit.label


def _plot(identifier: str, name: str, runs: Sequence[Run]) -> Plot:
    records = [record for run in runs for record in _records(run)]
    steps = max(record["step"] for record in records)
    data = altair.Data(values=records)
    sets = list(dict.fromkeys(record["set"] for record in records))
    base = altair.Chart(data).encode(
        x=altair.X(
            "step:Q",
            title="optimiser step",
            axis=altair.Axis(values=[0, steps // 2, steps]),
            # Room for the names at the lines' ends.
            scale=altair.Scale(domain=(0, 1.3 * steps), nice=False),
        ),
        y=altair.Y("cross-entropy:Q", title="cross-entropy per token", axis=altair.Axis(tickCount=4)),
        color=altair.Color(
            "set:N", legend=None, scale=altair.Scale(domain=sets, range=[_COLOURS[each] for each in sets])
        ),
    )
    lines = base.mark_line(strokeWidth=1.5).encode(
        detail="run:N",
        strokeDash=altair.StrokeDash(
            "control:N", legend=None, scale=altair.Scale(domain=["no", "yes"], range=[[1, 0], [3, 3]])
        ),
        tooltip=[
            altair.Tooltip("run:N"),
            altair.Tooltip("set:N"),
            altair.Tooltip("step:Q"),
            altair.Tooltip("cross-entropy:Q", format=".3f"),
        ],
    )
    chart = altair.layer(lines, *_names(records, sets, base)).properties(
        width="container", height=_HEIGHT, description=name
    )
    return Plot(identifier, name, {FITTING: chart.to_dict(validate=False)}, tuple(records), _CAPTION)


def _names(records: Sequence[Record], sets: Sequence[str], base: altair.Chart) -> Iterator[Any]:
    """The name of each set at the end of its line, apart from the other's."""
    ordered = sorted(records, key=lambda record: record["control"] == "no")
    ends = {each: [record for record in ordered if record["set"] == each][-1] for each in sets}
    values = [record["cross-entropy"] for record in records]
    height = max(values) - min(values) or 1.0
    upper = sorted(ends, key=lambda each: -ends[each]["cross-entropy"])
    apart = len(upper) < 2 or ends[upper[0]]["cross-entropy"] - ends[upper[1]]["cross-entropy"] > _NEAR * height
    for each, shift in zip(upper, (0, 0) if apart else (-7, 7), strict=False):
        at = altair.Data(values=[ends[each]])
        yield base.properties(data=at).mark_text(align="left", dx=5, dy=shift).encode(text="set:N")


def _records(run: Run) -> Iterator[Record]:
    """The points of a run's curves, one set after the other."""
    assert run.edit is not None
    curve: Sequence[Mapping[str, float]] = run.edit.details["curve"]
    every = math.ceil(len(curve) / _POINTS)
    windows = [curve[start : start + every] for start in range(0, len(curve), every)]
    for group in _SETS:
        learnt = "to forget" if run.edit.details.get("learnt", ["forget"]) == ["forget"] else "to learn"
        word = learnt if group == "learn" else "to retain"
        control = "no" if controlled(run) is None else "yes"
        for window in windows:
            values = [point[name] for point in window if (name := f"{group}_cross_entropy") in point]
            if values:
                value, step = sum(values) / len(values), window[-1]["step"]
                yield {"run": run.name, "set": word, "control": control, "step": step, "cross-entropy": value}
