"""The general benchmarks as a user runs them: one command, a judge on loopback, the report."""

import csv
import json

import pytest
from support.judge_server import JudgeServer, failure
from support.stock_tasks import judge_of_stock_tasks, judge_variables, write_stock_data


@pytest.fixture(scope="module", autouse=True)
def _stock_data(world):
    write_stock_data(world, documents=2)


def test_the_suite_runs_every_benchmark_and_the_report_shows_them(lmms_manu, tmp_path):
    run, report = f"vanilla={tmp_path / 'results'}", tmp_path / "report"
    with JudgeServer(judge_of_stock_tasks) as judge:
        variables = judge_variables(f"{judge.url}/chat/completions")
        arguments = ["--suite", "utility", "--model_args", "prune_rate=0", "--output", str(tmp_path / "results")]
        done = lmms_manu("evaluate", *arguments, "--quiet", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert judge.paths == {"/v1/chat/completions"}, "every judge is reached, whatever form of its address it expects"
    logs = [log.read_text() for log in tmp_path.glob("results/*/lmms-eval.log")]
    assert len(logs) == 5
    assert sum("Loading weights" in log for log in logs) == 1, "the model is loaded once for all parts"

    done = lmms_manu("report", run, "--out", str(report))
    assert done.returncode == 0, done.stdout + done.stderr
    with (report / "report.csv").open(newline="", encoding="utf-8") as file:
        shown = {row["metric"]: row["value"] for row in csv.DictReader(file) if row["split"] == "utility"}
    assert set(shown) == {"mmmu", "mmstar", "mm_vet", "mia_bench", "llava_bench"}
    assert (shown["mm_vet"], shown["mia_bench"], shown["llava_bench"]) == ("50", "80", "75")


def test_a_part_whose_judge_only_failed_is_unjudged_and_run_again(lmms_manu, tmp_path):
    arguments = ["--suite", "utility", "--skip", "mmmu,mmstar,mmvet,mia_bench", "--model_args", "prune_rate=0"]

    def evaluate(behave):
        with JudgeServer(behave) as judge:
            variables = judge_variables(f"{judge.url}/chat/completions")
            return lmms_manu("evaluate", *arguments, "--output", str(tmp_path), "--quiet", **variables)

    refused = evaluate(lambda number, request: failure(401))
    assert refused.returncode == 1
    assert "the judge gave no verdict for llava_in_the_wild" in refused.stdout
    assert json.loads((tmp_path / "run.json").read_text())["parts"]["llava_bench"]["status"] == "unjudged"

    answered = evaluate(judge_of_stock_tasks)
    assert answered.returncode == 0, answered.stdout + answered.stderr
    assert json.loads((tmp_path / "run.json").read_text())["parts"]["llava_bench"]["status"] == "done"
    assert len(list(tmp_path.rglob("*_results.json"))) == 1


def test_a_missing_judge_is_said_before_a_model_is_looked_for(lmms_manu, tmp_path):
    done = lmms_manu("evaluate", "--suite", "all", "--model_args", "pretrained=no/such", "--output", str(tmp_path))
    assert done.returncode == 2
    assert "OPENAI_API_KEY is not set" in done.stderr
    assert not list(tmp_path.iterdir())
