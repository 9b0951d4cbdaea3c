"""Results that are not whole are named, whatever cut them off or wrote over them, and each with the way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.harness_results import evaluate
from support.quota import files_of_at_most
from support.stock_tasks import write_stock_data

from lmms_manu.cli import main as cli
from lmms_manu.errors import DataError, NoResultsError
from lmms_manu.evaluation.manifest import losses
from lmms_manu.report.comparison import compare
from lmms_manu.report.runs import problems_of, read_runs

TASK = "mllmu_celebrity_cloze_text"


def answer(document: object) -> str:
    return "nobody"


@pytest.fixture
def work(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the harness finds the benchmark and MMStar."""
    monkeypatch.setenv("LMMS_MANU_DATASET", str(dataset))
    monkeypatch.chdir(write_stock_data(tmp_path / "work", documents=3))
    return tmp_path


def test_samples_that_the_harness_could_not_write_are_a_loss_and_an_error_with_the_way_out(work: Path) -> None:
    whole = evaluate(work / "whole", [TASK], answer)
    assert losses(whole) == []
    (samples,) = whole.parent.glob("*.jsonl")
    # The harness only warns; and its results file is smaller than the samples.
    quota = files_of_at_most(samples.stat().st_size - 10)
    cut = evaluate(work / "cut", [TASK], answer, keep=quota)
    asked = samples.read_bytes().count(b"\n")
    (told,) = losses(cut)
    assert told.endswith(f" holds {asked - 1} of {asked} questions: it was cut short, by a full disk or a quota")
    with pytest.raises(DataError, match=r"cut short, by a full disk or a quota\. Evaluate the task again"):
        compare(read_runs([str(cut)]))


def test_two_evaluations_of_one_second_in_one_folder_are_named(work: Path) -> None:
    for _ in range(2):
        results = evaluate(work / "results", [TASK], answer)
    assert "two evaluations wrote into it in the same second" in losses(results)[0]
    with pytest.raises(DataError, match="two evaluations wrote into it in the same second"):
        compare(read_runs([str(results)]))


def test_tasks_whose_results_were_written_over_are_named(work: Path) -> None:
    for task in (TASK, "mmstar"):
        results = evaluate(work / "results", [task], answer)
    told = [problem.message for problem in problems_of(read_runs([str(results)]))]
    assert any(f"lie samples of {TASK}, of which it says nothing" in message for message in told)


def test_answers_without_scores_are_told_with_how_they_came_about(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = evaluate(work / "results", [TASK], answer, predict_only=True)
    assert cli.main(["report", f"mine={results}"]) == 3
    assert "mine: " in (told := capsys.readouterr().err)
    assert "holds answers and no scores, as --predict_only leaves them: evaluate without it" in told


@pytest.mark.parametrize(("text", "told"), [("NaN", "nan"), ("-Infinity", "-inf"), ("1" + 400 * "0", "1" + 19 * "0")])
def test_a_score_that_is_no_number_is_named_and_left_out(results: Path, text: str, told: str) -> None:
    file = next((results / "ratio").rglob("*_results.json"))
    content = json.loads(file.read_text())
    task = content["results"]["mllmu_forget_10_cloze_text"]
    task["cloze_accuracy,none"] = "PLACE"
    file.write_text(json.dumps(content).replace('"PLACE"', text))
    (run,) = read_runs([str(file)])
    (problem,) = [problem for problem in run.problems if problem.kind == "not-a-number"]
    assert f"mllmu_forget_10_cloze_text has cloze_accuracy={told} in {file}" in problem.message
    row = compare([run]).sections[0].rows[0]
    assert row.cell("forget.cloze", "text").value is None
    assert row.cell("forget.cloze", "multimodal").value is not None


@pytest.mark.parametrize("text", ["NaN", "1" + 400 * "0"])
def test_a_sample_whose_score_is_no_number_is_named(results: Path, text: str) -> None:
    file = next((results / "ratio").rglob("*_samples_mllmu_forget_10_generation_text.jsonl"))
    first, *lines = file.read_text().splitlines()
    sample = json.loads(first) | {"rouge_l": "PLACE"}
    file.write_text("\n".join([json.dumps(sample).replace('"PLACE"', text), *lines]) + "\n")
    with pytest.raises(DataError, match=r"_text\.jsonl, line 1: "):
        compare(read_runs([str(results / "ratio")]))


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda folder: None, "holds no *_results.json"),
        (lambda folder: (folder / "results.json").write_text("{}"), "holds results of an old lmms-eval"),
    ],
)
def test_a_folder_without_results_of_todays_harness_is_named(
    tmp_path: Path, prepare: Callable[[Path], object], told: str
) -> None:
    prepare(tmp_path)
    with pytest.raises(NoResultsError) as error:
        read_runs([str(tmp_path)])
    assert told in str(error.value)
