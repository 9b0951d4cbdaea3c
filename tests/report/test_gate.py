"""The gate: what holds, what does not, and how a mistake in its file is told."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ElementTree
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import yaml

from lmms_manu.cli import main as cli
from lmms_manu.errors import DataError, SettingError
from lmms_manu.report.cells import Report
from lmms_manu.report.comparison import compare
from lmms_manu.report.gate.config import BOUNDS, metrics, parse_config, read_config
from lmms_manu.report.gate.outcomes import Outcome, check_conditions
from lmms_manu.report.runs import Run, read_runs

PAPER = "manu paper 2 %"


@pytest.fixture(scope="module")
def report(runs: tuple[Run, ...]) -> Report:
    return compare(runs, resamples=500)


def outcomes(report: Report, **condition: Any) -> tuple[Outcome, ...]:
    config = parse_config({"version": 1, "conditions": [condition]}, "gate.yaml")
    return check_conditions(report, config.conditions)


def only(report: Report, **condition: Any) -> Outcome:
    (outcome,) = outcomes(report, runs=[PAPER], **condition)
    return outcome


def value(report: Report, run: str, column: str, view: str = "mean") -> float:
    found = next(row for row in report.sections[0].rows if row.name == run).cell(column, view).value
    assert found is not None
    return found


def test_an_absolute_condition_holds_the_value_against_the_limit(report: Report) -> None:
    kept = value(report, PAPER, "retain.cloze")
    assert only(report, metric="retain.cloze", at_least=kept).held
    assert not only(report, metric="retain.cloze", at_least=kept + 0.1).held
    assert only(report, metric="retain.cloze", at_most=kept).held
    assert not only(report, metric="retain.cloze", at_most=kept - 0.1).held


def test_a_drop_is_the_distance_below_the_baseline(report: Report) -> None:
    drop = value(report, "vanilla", "forget.classification") - value(report, PAPER, "forget.classification")
    assert drop > 5
    assert only(report, metric="forget.classification", drop_at_least=5).value == pytest.approx(drop)
    assert only(report, metric="forget.classification", drop_at_least=5).held
    assert not only(report, metric="forget.classification", drop_at_most=5).held


def test_a_share_of_the_baseline_is_in_percent(report: Report) -> None:
    share = 100 * value(report, PAPER, "retain.cloze") / value(report, "vanilla", "retain.cloze")
    outcome = only(report, metric="retain.cloze", percent_of_baseline_at_least=50)
    assert outcome.value == pytest.approx(share)
    assert outcome.held
    assert not only(report, metric="retain.cloze", percent_of_baseline_at_most=50).held


def test_a_condition_on_both_modalities_is_two_checks(report: Report) -> None:
    found = outcomes(
        report, metric="forget.classification", modality=["multimodal", "text"], drop_at_least=5, runs=[PAPER]
    )
    assert [outcome.view for outcome in found] == ["multimodal", "text"]
    for outcome in found:
        expected = value(report, PAPER, "forget.classification", outcome.view)
        assert outcome.value == pytest.approx(
            value(report, "vanilla", "forget.classification", outcome.view) - expected
        )


def test_with_its_interval_a_condition_is_stricter(report: Report) -> None:
    row = next(row for row in report.sections[0].rows if row.name == PAPER)
    interval = row.cell("retain.cloze").interval
    assert interval is not None
    limit = (interval[0] + value(report, PAPER, "retain.cloze")) / 2
    assert only(report, metric="retain.cloze", at_least=limit).held
    strict = only(report, metric="retain.cloze", at_least=limit, interval=True)
    assert not strict.held
    assert "the lower end of the interval" in strict.reason


def test_a_missing_interval_is_told_with_what_it_needs(report: Report, results: Path) -> None:
    section = report.sections[0]
    row = next(row for row in section.rows if row.name == PAPER)
    key = ("retain.cloze", "mean")
    few = dataclasses.replace(row, cells={**row.cells, key: dataclasses.replace(row.cells[key], interval=None)})
    of_few = dataclasses.replace(report, sections=(dataclasses.replace(section, rows=(few,)),))
    assert "too few people" in only(of_few, metric="retain.cloze", at_least=0, interval=True).reason
    for file in (results / "paper").glob("**/*.jsonl"):
        file.unlink()
    without = compare(read_runs([str(results / "paper")]), resamples=10)
    assert "--log_samples" in only(without, metric="retain.cloze", at_least=0, interval=True).reason


def test_every_run_but_the_baseline_is_judged_unless_runs_are_named(report: Report) -> None:
    assert [outcome.run for outcome in outcomes(report, metric="retain.cloze", at_least=0)] == [
        PAPER,
        "manu ratio 10 %",
    ]


def test_unparsed_alone_means_every_split(report: Report) -> None:
    found = outcomes(report, metric="unparsed", at_most=2, runs=["vanilla"])
    assert [outcome.column for outcome in found] == [f"{s}.unparsed" for s in ("forget", "test", "retain", "celebrity")]


def test_derived_numbers_can_be_judged(report: Report) -> None:
    assert only(report, metric="forgetting_rate", at_least=10).held
    assert not only(report, metric="retention_rate", at_least=100).held


@pytest.mark.parametrize("bound", BOUNDS)
def test_what_was_not_measured_fails(report: Report, bound: str) -> None:
    outcome = only(report, metric="utility.mmmu", **{bound: 0})
    assert not outcome.held
    assert "not measured" in outcome.reason
    (unjudged,) = outcomes(report, metric="forget.factuality", runs=["manu ratio 10 %"], **{bound: 0})
    assert not unjudged.held


def test_no_run_to_judge_fails(report: Report, runs: tuple[Run, ...]) -> None:
    assert not outcomes(report, metric="retain.cloze", at_least=0, forget_ratio=15)[0].held
    alone = compare(runs[:1], resamples=10)
    assert not outcomes(alone, metric="retain.cloze", at_least=0)[0].held


def test_without_a_baseline_a_relative_condition_fails(runs: tuple[Run, ...]) -> None:
    alone = compare(runs[1:2], resamples=10)
    for condition in ({"metric": "retain.cloze", "drop_at_most": 5}, {"metric": "trade_off", "at_least": 0}):
        (outcome,) = outcomes(alone, **condition)
        assert not outcome.held
        assert "no baseline" in outcome.reason


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"metric": "forget.clasification", "at_least": 1}, "Did you mean 'forget.classification'"),
        ({"metric": "retain.cloze", "at_leest": 1}, "Did you mean 'at_least'"),
        ({"metric": "retain.cloze", "at_least": 1, "modality": "txt"}, "Did you mean 'text'"),
        ({"metric": "retain.cloze", "at_least": "high"}, "at_least='high' is not a number"),
        ({"metric": "retain.cloze", "at_least": True}, "is not a number"),
        *[({"metric": "retain.cloze", "at_least": limit}, "is not a number") for limit in (inf, -inf, nan, 10**400)],
        ({"metric": "retain.cloze", "at_least": 1, "interval": "ja"}, "interval='ja' is not a truth value"),
        ({"metric": "retain.cloze"}, "exactly one of"),
        ({"metric": "retain.cloze", "at_least": 1, "at_most": 2}, "at_least and at_most"),
        ({"metric": "trade_off", "drop_at_least": 1}, "relative to the baseline already"),
        ({"metric": "trade_off", "at_least": 1, "modality": "text"}, "has no modalities"),
        ({"metric": "retain.cloze", "at_least": 1, "forget_ratio": 7}, "forget_ratio 7 is not known"),
        ({"metric": "retain.cloze", "at_least": 1, "runs": 3}, "neither a name nor a list"),
        ("retain.cloze >= 1", "not a table"),
    ],
)
def test_mistakes_in_a_condition_are_told_with_the_nearest_valid_name(content: Any, message: str) -> None:
    with pytest.raises(SettingError, match=r"gate\.yaml, condition 1") as error:
        parse_config({"version": 1, "conditions": [content]}, "gate.yaml")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "content", [None, [], {"version": 1}, {"version": 2, "conditions": []}, {"version": 1, "conditons": []}]
)
def test_a_file_that_is_no_gate_is_refused(content: Any) -> None:
    with pytest.raises(SettingError, match=r"gate\.yaml"):
        parse_config(content, "gate.yaml")


def test_a_run_that_there_is_not_is_told(report: Report) -> None:
    with pytest.raises(SettingError, match="Did you mean 'manu paper 2 %'"):
        outcomes(report, metric="retain.cloze", at_least=1, runs=["manu paper 2%"])


def test_every_metric_can_be_named() -> None:
    for metric in metrics():
        parse_config({"version": 1, "conditions": [{"metric": metric, "at_least": 1}]}, "gate.yaml")


def write_gate(path: Path, *conditions: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump({"version": 1, "conditions": list(conditions)}), encoding="utf-8")
    return path


def test_the_exit_code_says_whether_everything_held(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    good = {"name": "forgets <both>", "metric": "forget.classification", "drop_at_least": 5}
    bad = {"name": "keeps all", "metric": "retain.cloze", "percent_of_baseline_at_least": 101}
    runs = [f"vanilla={written / 'vanilla'}", f"paper={written / 'paper'}"]
    passing, failing = write_gate(tmp_path / "good.yaml", good), write_gate(tmp_path / "bad.yaml", good, bad)
    junit = tmp_path / "junit.xml"
    assert cli.main(["gate", "--config", str(passing), *runs]) == 0
    assert "Gate passed: 1 of 1 checks held." in capsys.readouterr().out
    assert cli.main(["gate", "--config", str(failing), "--junit", str(junit), *runs]) == 1
    assert "Gate failed: 1 of 2 checks held." in capsys.readouterr().out
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "### Gate passed" in summary
    assert "### Gate failed" in summary
    suites = ElementTree.parse(junit).getroot()
    assert (suites.get("tests"), suites.get("failures")) == ("2", "1")
    cases = suites.findall("testsuite/testcase")
    assert [case.get("classname") for case in cases] == ["forgets <both>", "keeps all"]
    assert [case.find("failure") is not None for case in cases] == [False, True]


def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text("version: 1\nconditions:\n- metric: retain.cloze\n  at_least: 1\n  at_least: 90\n")
    with pytest.raises(DataError, match=r"the key 'at_least' stands twice in one table[\s\S]*line 5"):
        read_config(file)


def test_a_mistake_is_not_a_failed_model(written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gate = write_gate(tmp_path / "gate.yaml", {"metric": "forget.clozze", "at_most": 5})
    assert cli.main(["gate", "--config", str(gate), str(written)]) == 2
    assert "Did you mean 'forget.cloze'" in capsys.readouterr().err
    assert cli.main(["gate", "--config", str(tmp_path / "none.yaml"), str(written)]) == 2
    assert "none.yaml: there is no such file" in capsys.readouterr().err
    assert cli.main(["gate", "--config", str(tmp_path), str(written)]) == 2
    assert f"{tmp_path} cannot be read: Is a directory" in capsys.readouterr().err
    good = write_gate(tmp_path / "gate.yaml", {"metric": "forget.cloze", "at_most": 5})
    assert cli.main(["gate", "--config", str(good), str(tmp_path / "nowhere")]) == 2


def test_nothing_to_judge_is_neither_held_nor_failed(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = write_gate(tmp_path / "gate.yaml", {"metric": "forget.cloze", "at_most": 5})
    (tmp_path / "empty").mkdir()
    assert cli.main(["gate", "--config", str(gate), str(tmp_path / "empty")]) == 3
    assert "holds no *_results.json" in capsys.readouterr().err
    assert cli.main(["gate", "--config", str(gate), str(written / "vanilla")]) == 3
    assert "there is no run to judge" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "told"), [(["--resamples", "0"], "resamples=0 is out"), (["--seed", "-1"], "seed=-1 is out of range")]
)
@pytest.mark.parametrize("command", [["report"], ["gate", "--config", "gate.yaml"]])
def test_draws_that_cannot_be_are_refused(
    command: list[str], option: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command, "results", *option]) == 2
    assert told in capsys.readouterr().err


def test_a_budget_is_held_against_the_split_that_lost_the_most(report: Report) -> None:
    rows = {row.name: row for row in report.sections[0].rows}
    costs = [rows[PAPER].derived[name].value or 0.0 for name in ("retain_cost", "celebrity_cost")]
    condition = {"metric": "retain.cloze", "at_least": 0}
    for budget, held in ((max(costs) + 0.1, True), (max(costs) - 0.1, False)):
        content = {"version": 1, "runs": PAPER, "budget": budget, "conditions": [condition]}
        first, _ = check_conditions(report, parse_config(content, "gate.yaml").conditions)
        assert first.condition.name == "within the budget"
        assert first.held is held
        assert first.value == pytest.approx(max(costs))
    with pytest.raises(SettingError, match="budget: at_most='five' is not a number"):
        parse_config({"version": 1, "budget": "five", "conditions": [condition]}, "gate.yaml")
