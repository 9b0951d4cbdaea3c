"""Methods at the same cost: in the tables, on the page, in the gate and on the leaderboard."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmms_manu.methods.record import EditRecord, Value
from lmms_manu.report import leaderboard
from lmms_manu.report.cells import Frontier, Report, Row
from lmms_manu.report.comparison import compare
from lmms_manu.report.formats import json_report, markdown
from lmms_manu.report.frontiers import COSTS
from lmms_manu.report.gate.config import parse_config
from lmms_manu.report.gate.outcomes import check_conditions
from lmms_manu.report.page.build import render
from lmms_manu.report.runs import Run, read_runs


def edited(run: Run, method: str, strength: str, value: float, **settings: str) -> Run:
    """The results of a run as if its model had been edited so."""
    variant: dict[str, Value] = {"recipe": "own", strength: value}
    forgotten: dict[str, str | int] = {"benchmark": "mllmu", "forget_ratio": 10}
    edit = EditRecord(method, "x", change="tensors", variant=variant, strength=strength, forgotten=forgotten)
    own = tuple(settings.items())
    known = dataclasses.replace(run.identity, checkpoint="x", method=method, label=edit.label)
    identity = dataclasses.replace(known, forget_ratio=10, settings=own)
    name = " ".join([edit.label, *settings.values()])
    return dataclasses.replace(run, name=name, edit=edit, identity=identity, fingerprint=name)


@pytest.fixture(scope="module")
def report(written: Path, gold: Path) -> Report:
    vanilla, never, paper, ratio = read_runs([str(written / "vanilla"), str(gold), *(str(written / n) for n in NAMES)])
    runs = [
        vanilla,
        never,
        edited(paper, "pruning", "prune_rate", 2.0),
        edited(ratio, "pruning", "prune_rate", 10.0),
        *(edited(never, "free", "steps", 8.0, seed=seed) for seed in ("1", "2")),
        edited(vanilla, "free", "steps", 4.0),
        edited(ratio, "alone", "keep", 4.0),
    ]
    return compare(runs, "vanilla", gold="gold", resamples=300)


NAMES = ("paper", "ratio")


def frontiers(report: Report) -> dict[str, Frontier]:
    return {frontier.name: frontier for frontier in report.sections[0].frontiers}


def row(report: Report, name: str) -> Row:
    return next(row for row in report.sections[0].rows if row.name == name)


def test_a_method_with_several_strengths_has_a_frontier_with_intervals_over_people(report: Report) -> None:
    assert set(frontiers(report)) == {"pruning own", "free own"}
    own = frontiers(report)["pruning own"]
    assert own.members == ("pruning own prune rate 2", "pruning own prune rate 10")
    mild = row(report, own.members[0])
    cost, share = (mild.derived[name].value for name in ("retain_cost", "share_forgotten"))
    assert cost is not None
    assert share is not None
    assert cost > COSTS[-1]
    for at, cell in own.at.items():
        assert cell.value == pytest.approx(share * at / cost), "between vanilla and the mildest"
        assert cell.interval is not None
        assert cell.interval[0] < share * at / cost < cell.interval[1]
    costs = [at for at, _ in own.curve]
    assert costs[0] == 0
    assert costs[-1] == pytest.approx(row(report, own.members[1]).derived["retain_cost"].value)
    assert np.all(np.diff([cell.value for _, cell in own.curve]) >= 0)
    assert sum(cell.interval is not None for _, cell in own.curve) > len(costs) / 2


def test_seeds_of_one_strength_are_summed_up_and_a_cost_that_none_has_is_not_reached(report: Report) -> None:
    own = frontiers(report)["free own"]
    assert set(own.members) == {"free own steps 4", "free own steps 8, mean of 2 seeds"}
    assert {cell.value for cell in own.at.values()} == {None}
    assert own.at[2.0].note == "not reached: 100 % at 0.0"
    assert row(report, "free own steps 8 1").derived["share_at_cost_2"] == own.at[2.0]


def test_every_output_tells_of_it(report: Report) -> None:
    text = markdown.render(report)
    assert "at the same cost" in text
    assert "| free own | not reached: 100 % at 0.0 | not reached: 100 % at 0.0 |" in text
    section = json_report.build(report)["sections"][0]
    assert [entry["name"] for entry in section["frontiers"]] == ["pruning own", "free own"]
    assert section["frontiers"][0]["at"][0]["interval"]
    assert section["rows"][2]["derived"]["share_at_cost_5"]["value"]
    page = render(report)
    assert "<h3>At the same cost</h3>" in page
    assert '"method":"pruning own"' in page


def test_a_gate_takes_it_and_says_what_is_missing(report: Report) -> None:
    def outcome(run: str, **condition: Any) -> tuple[bool, str]:
        entry = {"metric": "share_at_cost_5", "runs": [run], **condition}
        (found,) = check_conditions(report, parse_config({"version": 1, "conditions": [entry]}, "gate").conditions)
        return found.held, found.reason

    assert outcome("pruning own prune rate 2", at_least=1) == (True, "")
    assert not outcome("pruning own prune rate 10", at_least=99, interval=True)[0]
    assert outcome("free own steps 4", at_least=1) == (False, "not reached: 100 % at 0.0")
    assert outcome("alone own keep 4", at_least=1)[1].startswith("no frontier")


def test_a_leaderboard_ranks_by_it_and_tells_what_was_not_reached(report: Report) -> None:
    entries = leaderboard.entries_of(report, who="ada")
    text = leaderboard.render(entries, "share_at_cost_2", budget=100)
    places = {line.split(" | ")[1]: line.split(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert places["pruning own prune rate 2"][0] in ("| 1", "| 2")
    assert places["free own steps 4"][0] == "| –"
    assert places["free own steps 4"][2] == "not reached"
    assert places["alone own keep 4"][2] == "–"
