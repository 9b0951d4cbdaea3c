"""Runs that differ in the seed only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lmms_manu.report.comparison import compare
from lmms_manu.report.gate.config import parse_config
from lmms_manu.report.gate.outcomes import check_conditions
from lmms_manu.report.leaderboard import entries_of
from lmms_manu.report.runs import read_runs


@pytest.fixture
def report(results: Path):
    """Two seeds of the recipe `ratio`; the second answered one task worse, and kept no samples of it."""
    shutil.copytree(results / "ratio", results / "other")
    file = next((results / "other").glob("**/*_results.json"))
    content = json.loads(file.read_text(encoding="utf-8"))
    content["config"]["model_args"] += ",seed=1"
    content["results"]["mllmu_retain_10_cloze_text"]["cloze_accuracy,none"] = 10.0
    file.write_text(json.dumps(content), encoding="utf-8")
    next(file.parent.glob("*_samples_mllmu_retain_10_cloze_text.jsonl")).unlink()
    return compare(read_runs([str(results / name) for name in ("vanilla", "ratio", "other")]), resamples=50)


def test_their_mean_and_range_stand_below_them(report) -> None:
    rows = report.sections[0].rows
    assert [row.name for row in rows[-2:]] == ["manu ratio 10 % (seed=1)", "manu ratio 10 %, mean of 2 seeds"]
    one, other, mean = (row.cell("retain.cloze", "text") for row in rows[-3:])
    assert other.value == 10.0
    assert mean.value == pytest.approx((one.value + other.value) / 2)
    assert mean.spread == (10.0, one.value)
    assert mean.interval is None
    rate = [row.derived["retention_rate"].value for row in rows[-3:]]
    assert rate[2] == pytest.approx((rate[0] + rate[1]) / 2)


def test_means_over_seeds_are_neither_judged_nor_ranked_as_runs(report) -> None:
    config = parse_config({"version": 1, "conditions": [{"metric": "retain.cloze", "at_least": 0}]}, "gate.yaml")
    assert len(check_conditions(report, config.conditions)) == 2
    assert len(entries_of(report, "ada")) == 3


def test_their_mean_has_the_name_that_a_sweep_gave_them_but_for_the_seed(report, results) -> None:
    places = [f"{name}={results / folder}" for name, folder in (("mine-seed0", "ratio"), ("mine-seed1", "other"))]
    named = compare(read_runs([str(results / "vanilla"), *places]), resamples=10)
    assert named.sections[0].rows[-1].name == "mine, mean of 2 seeds"


def test_one_seed_has_no_summary(runs) -> None:
    assert not [row for row in compare(runs, resamples=10).sections[0].rows if "seeds" in row.name]
