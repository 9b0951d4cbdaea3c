"""The general benchmarks, unmodified, from the harness's command line, against a judge on loopback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.judge_server import JudgeServer
from support.stock_tasks import judge_of_stock_tasks, judge_variables

from lmms_manu.evaluation.harness import HarnessError, HarnessRun, run

VANILLA = {"pretrained": "./tiny", "prune_rate": 0, "device": "cpu"}


def results_of(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))["results"]


def samples_of(output: Path, task: str) -> list[dict]:
    (file,) = output.glob(f"**/*_samples_{task}.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_the_benchmarks_that_agree_about_the_judge_run_in_one_command(folder, environment, tmp_path):
    tasks = ("mmmu", "mmstar", "mmvet", "llava_in_the_wild")
    with JudgeServer(judge_of_stock_tasks) as judge:
        variables = {**environment, **judge_variables(judge.url)}
        file = run(HarnessRun(tasks, VANILLA, tmp_path), folder=folder, environment=variables)
    results = results_of(file)
    assert "mmmu_acc,none" in results["mmmu_val"]
    assert "average,none" in results["mmstar"]
    assert results["mmvet"]["gpt_eval_score,none"] == 50
    assert results["llava_in_the_wild"]["gpt_eval_llava_all,none"] == 75
    assert len(judge.requests) == 8
    for task in ("mmmu_val", "mmstar", "mmvet", "llava_in_the_wild"):
        assert all(sample["filtered_resps"] for sample in samples_of(tmp_path, task))


def test_mia_bench_runs_with_its_own_form_of_the_url(folder, environment, tmp_path):
    with JudgeServer(judge_of_stock_tasks) as judge:
        variables = {**environment, **judge_variables(f"{judge.url}/chat/completions")}
        file = run(HarnessRun(("mia_bench",), VANILLA, tmp_path), folder=folder, environment=variables)
    assert results_of(file)["mia_bench"]["gpt_eval_score,none"] == pytest.approx(0.8)
    assert len(judge.requests) == 4


def test_multiple_choice_runs_from_the_command_line_as_a_simple_model(folder, environment, tmp_path):
    tasks = ("arc_easy", "seedbench_ppl")
    call = _Simple(tasks, VANILLA, tmp_path)
    results = results_of(run(call, folder=folder, environment=environment))
    assert all(0 <= results[task]["acc,none"] <= 1 for task in tasks)


def test_without_a_judge_nothing_is_reported(folder, environment, tmp_path):
    variables = {**environment, "OPENAI_API_KEY": ""}
    with pytest.raises(HarnessError, match="OPENAI_API_KEY is not set"):
        run(HarnessRun(("llava_in_the_wild",), VANILLA, tmp_path), folder=folder, environment=variables)


class _Simple(HarnessRun):
    def command(self) -> list[str]:
        return [*super().command(), "--force_simple"]
