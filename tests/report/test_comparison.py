"""The numbers of a report against what the harness wrote and against plain arithmetic."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.harness_results import evaluate
from support.judge_server import JudgeServer, completion
from support.stock_tasks import write_stock_data

from lmms_manu.errors import DataError
from lmms_manu.report.cells import Cell, Report, Row
from lmms_manu.report.comparison import compare
from lmms_manu.report.derived import derive, derived_of
from lmms_manu.report.metrics import columns
from lmms_manu.report.runs import Run, read_runs


@pytest.fixture(scope="module")
def report(runs: tuple[Run, ...]) -> Report:
    return compare(runs, resamples=500)


def row(report: Report, name: str) -> Row:
    return next(row for row in report.sections[0].rows if row.name == name)


def harness_values(written: Path, folder: str) -> dict[str, dict[str, float]]:
    file = next((written / folder).glob("**/*_results.json"))
    return json.loads(file.read_text(encoding="utf-8"))["results"]


def test_there_is_a_section_for_the_ratio_that_was_run(report: Report) -> None:
    (section,) = report.sections
    assert section.forget_ratio == 10
    assert report.baseline == "vanilla"
    assert section.rows[0].is_baseline
    assert section.splits == ("forget", "test", "retain", "celebrity")


def test_values_are_those_of_the_harness_for_leaves_and_groups(report: Report, written: Path) -> None:
    values = harness_values(written, "paper")
    paper = row(report, "manu paper 2 %")
    for split in ("forget", "test", "retain", "celebrity"):
        group = f"mllmu_{split}" + ("" if split == "celebrity" else "_10")
        names = (("classification", "classification_accuracy"), ("cloze", "cloze_accuracy"), ("rouge_l", "rouge_l"))
        for metric, key in (*names, ("factuality", "factuality")):
            assert paper.cell(f"{split}.{metric}").value == pytest.approx(values[group][f"{key},none"])
        leaf = values[f"{group}_cloze_text"]["cloze_accuracy,none"]
        assert paper.cell(f"{split}.cloze", "text").value == pytest.approx(leaf)


def test_utility_benchmarks_have_their_own_columns(report: Report, written: Path) -> None:
    value = harness_values(written, "paper")["mmstar"]["average,none"]
    assert row(report, "manu paper 2 %").cell("utility.mmstar").value == pytest.approx(100 * value)
    assert row(report, "manu ratio 10 %").cell("utility.mmstar").value is None
    assert "utility.mmmu" not in [column.name for column in report.sections[0].columns]


def test_what_was_not_measured_has_no_value(report: Report) -> None:
    assert row(report, "manu ratio 10 %").cell("forget.factuality").value is None
    assert row(report, "vanilla").cell("forget.factuality").value == 7


def test_unusable_answers_are_shares_and_not_judged_needs_a_judge(report: Report, written: Path) -> None:
    leaf = harness_values(written, "paper")["mllmu_forget_10_classification_text"]
    share = 100 * leaf["unparsed,none"] / leaf["scored,none"]
    paper = row(report, "manu paper 2 %")
    assert paper.cell("forget.unparsed", "text").value == pytest.approx(share)
    assert paper.cell("forget.not_judged").value == 0
    assert row(report, "manu ratio 10 %").cell("forget.not_judged").value is None


def test_changes_are_differences_to_the_baseline_with_an_interval_around_them(report: Report) -> None:
    vanilla, paper = row(report, "vanilla"), row(report, "manu paper 2 %")
    for column in (each for each in columns() if each.benchmark == "mllmu" and each.metric.in_rates):
        for view in ("mean", "multimodal", "text"):
            cell, base = paper.cell(column, view), vanilla.cell(column, view)
            assert cell.value is not None
            assert base.value is not None
            assert cell.change == pytest.approx(cell.value - base.value)
            assert cell.change_interval is not None
            assert cell.change is not None
            assert cell.change_interval[0] - 1e-9 <= cell.change <= cell.change_interval[1] + 1e-9
    assert vanilla.cell("forget.cloze").change is None


def test_pairing_makes_the_interval_of_a_change_narrower_than_unpaired(report: Report) -> None:
    paper, vanilla = row(report, "manu paper 2 %"), row(report, "vanilla")
    cell, base = paper.cell("retain.classification"), vanilla.cell("retain.classification")
    assert cell.draws is not None
    assert base.draws is not None
    unpaired = cell.draws - np.random.default_rng(0).permutation(base.draws)
    assert np.std(cell.draws - base.draws) < np.std(unpaired)


def test_the_interval_counts_people_not_questions(report: Report) -> None:
    cell = row(report, "vanilla").cell("retain.classification", "text")
    assert (cell.questions, cell.people) == (5 * 35, 35)


def test_a_question_that_was_left_out_adds_nobody_to_the_draws(results: Path) -> None:
    def intervals() -> list[tuple[float, float] | None]:
        report = compare(read_runs([str(results / "ratio")]), resamples=100)
        return [report.sections[0].rows[0].cell(f"{split}.cloze", "text").interval for split in ("forget", "retain")]

    before = intervals()
    for split in ("forget", "retain"):
        task = f"mllmu_{split}_10_cloze_text"
        with next((results / "ratio").glob(f"**/*_samples_{task}.jsonl")).open("a", encoding="utf-8") as samples:
            samples.write('{"doc_id": 9999, "target": "what a broken picture was to show"}\n')
        file = next((results / "ratio").glob("**/*_results.json"))
        content = json.loads(file.read_text(encoding="utf-8"))
        content["n-samples"][task] = {name: count + 1 for name, count in content["n-samples"][task].items()}
        file.write_text(json.dumps(content), encoding="utf-8")
    assert intervals() == before
    assert None not in before


def test_best_and_second_are_marked_among_the_edited_runs(report: Report) -> None:
    forgot = {name: row(report, name).cell("forget.cloze").rank for name in ("manu paper 2 %", "manu ratio 10 %")}
    kept = {name: row(report, name).cell("retain.cloze").rank for name in ("manu paper 2 %", "manu ratio 10 %")}
    assert forgot == {"manu paper 2 %": 2, "manu ratio 10 %": 1}
    assert kept == {"manu paper 2 %": 1, "manu ratio 10 %": 2}
    assert row(report, "vanilla").cell("retain.cloze").rank == 0


def test_derived_numbers_follow_their_definitions(report: Report) -> None:
    vanilla, paper = row(report, "vanilla"), row(report, "manu paper 2 %")

    def left(split: str, view: str = "mean") -> float:
        shares = []
        for metric in ("classification", "rouge_l", "factuality", "cloze"):
            value, base = paper.cell(f"{split}.{metric}", view).value, vanilla.cell(f"{split}.{metric}", view).value
            assert value is not None
            assert base
            shares.append(100 * value / base)
        return sum(shares) / len(shares)

    expected = {
        "forgetting_rate": 100 - left("forget"),
        "forgetting_rate_test": 100 - left("test"),
        "retention_rate": left("retain"),
        "retention_rate_celebrity": left("celebrity"),
        "modality_gap": left("forget", "text") - left("forget", "multimodal"),
        "trade_off": left("retain") - left("forget"),
    }
    for name, value in expected.items():
        cell = paper.derived[name]
        assert cell.value == pytest.approx(value)
        assert cell.interval is not None
        assert cell.interval[0] <= value <= cell.interval[1]
    assert set(paper.derived) == {derived.name for derived in derived_of("mllmu")}
    assert vanilla.derived == {}


def test_rates_leave_out_what_one_side_has_not_measured(report: Report) -> None:
    ratio = row(report, "manu ratio 10 %")
    assert ratio.derived["forgetting_rate"].note == "from Classification, ROUGE-L, Cloze"
    assert ratio.derived["retention_rate_utility"].value is None


def test_rates_are_set_against_each_other_by_the_metrics_that_both_have() -> None:
    def cells(scores: dict[str, float]) -> dict[tuple[str, str], Cell]:
        return {
            (f"{split}.{metric}", view): Cell(value=value)
            for metric, value in scores.items()
            for split in ("forget", "retain")
            for view in ("mean", "multimodal", "text")
        }

    base, mine = cells({"cloze": 100.0, "factuality": 10.0}), cells({"cloze": 50.0, "factuality": 0.0})
    for unjudged in (("forget.factuality", "text"), ("retain.factuality", "mean")):
        mine[unjudged] = Cell(note="not judged")
    found = derive(mine, base)
    assert (found["forgetting_rate"].value, found["retention_rate"].value) == (75, 50)
    assert (found["modality_gap"].value, found["trade_off"].value) == (0, 0)
    assert found["modality_gap"].note == found["trade_off"].note == "from Cloze"


def test_other_questions_than_the_baseline_take_the_interval_away(
    written: Path, tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMMS_MANU_DATASET", str(dataset))
    monkeypatch.setenv("LMMS_MANU_EXEMPLARS", "classification=1,cloze=2")
    evaluate(tmp_path, ["mllmu_retain_10_cloze_text"], lambda document: "x", model_args="prune_rate=5,forget_ratio=10")
    report = compare(read_runs([str(written / "vanilla"), str(tmp_path)]), resamples=100)
    cell = row(report, "manu paper 5 %").cell("retain.cloze", "text")
    assert cell.change is not None
    assert cell.change_interval is None
    assert any(problem.kind == "questions" for problem in report.problems)


def test_results_without_samples_have_no_interval(results: Path) -> None:
    for file in (results / "paper").glob("**/*.jsonl"):
        file.unlink()
    report = compare(read_runs([str(results / "vanilla"), str(results / "paper")]), resamples=100)
    cell = row(report, "manu paper 2 %").cell("forget.cloze")
    assert cell.change is not None
    assert cell.interval is None
    assert cell.change_interval is None
    assert any(problem.kind == "no-samples" for problem in report.problems)


def test_samples_of_another_evaluation_are_refused(results: Path) -> None:
    names = [next((results / run).glob("**/*_samples_mllmu_retain_10_cloze_text.jsonl")) for run in ("ratio", "paper")]
    mask = names[1].read_text(encoding="utf-8").split('"edit": "')[1][:64]
    shutil.copy(*names)
    names[1].write_text(names[1].read_text(encoding="utf-8").replace("f00d" * 16, mask), encoding="utf-8")
    with pytest.raises(DataError, match="not of the same evaluation"):
        compare(read_runs([str(results / "paper")]), resamples=10)


def test_a_baseline_that_there_is_not_is_an_error(runs: tuple[Run, ...]) -> None:
    with pytest.raises(DataError, match="Did you mean 'vanilla'"):
        compare(runs, "vanila")


def test_without_a_vanilla_run_there_are_no_changes(runs: tuple[Run, ...]) -> None:
    report = compare(runs[1:], resamples=100)
    assert report.baseline is None
    assert all(cell.change is None for row in report.sections[0].rows for cell in row.cells.values())


def test_the_false_hundred_of_llava_bench_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_stock_data(tmp_path / "work", documents=3))
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    with JudgeServer(lambda number, body: completion("I would rather not say.")) as judge:
        monkeypatch.setenv("OPENAI_API_URL", judge.url)
        output = tmp_path / "out"
        file = evaluate(output, ["llava_in_the_wild"], lambda document: "A picture.", model_args="prune_rate=0")
    values = json.loads(file.read_text(encoding="utf-8"))["results"]["llava_in_the_wild"]
    assert values["gpt_eval_llava_all,none"] == 100.0
    (run,) = read_runs([str(tmp_path / "out")])
    cell = compare([run], resamples=10).sections[0].rows[0].cell("utility.llava_bench")
    assert cell.value is None
    assert cell.note == "the judge gave no score for 3 of 3 answers"
    for samples in (tmp_path / "out").glob("**/*.jsonl"):
        samples.unlink()
    (run,) = read_runs([str(tmp_path / "out")])
    assert compare([run], resamples=10).sections[0].rows[0].cell("utility.llava_bench").value is None


def test_each_forget_ratio_has_its_section_with_the_runs_that_belong_to_it(
    results: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMMS_MANU_DATASET", str(dataset))
    leaf = ["mllmu_forget_15_cloze_text"]
    evaluate(results / "other", leaf, lambda document: "x", model_args="recipe=released,forget_ratio=15")
    evaluate(results / "vanilla", leaf, lambda document: document["answer"], model_args="prune_rate=0", when="20260303")
    places = [str(results / name) for name in ("vanilla", "paper", "other")]
    sections = {section.forget_ratio: section for section in compare(read_runs(places), resamples=50).sections}
    assert [row.name for row in sections[10].rows] == ["vanilla", "manu paper 2 %"]
    assert [row.name for row in sections[15].rows] == ["vanilla", "manu released 2 %"]
    assert sections[15].rows[1].cell("forget.cloze", "text").change == -100


def test_a_run_that_was_asked_about_other_people_than_it_forgot_is_told(results: Path) -> None:
    for file in (results / "paper").glob("**/*_results.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        for name, config in content["configs"].items():
            if name.startswith("mllmu"):
                config["metadata"]["run"]["edit"]["forgotten"]["forget_ratio"] = 15
        file.write_text(json.dumps(content), encoding="utf-8")
    report = compare(read_runs([str(results / "vanilla"), str(results / "paper")]), resamples=10)
    assert [row.name for row in report.sections[0].rows] == ["vanilla"]
    (told,) = [problem.message for problem in report.problems if problem.kind == "misplaced"]
    assert "manu paper 2 % forgot the people of 15 %" in told
    assert "mllmu_15" in told
    with pytest.raises(DataError, match="stands in no table"):
        compare(read_runs([str(results / "paper")]), resamples=10)
