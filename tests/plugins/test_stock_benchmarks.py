"""The general benchmarks, unmodified, from the harness's command line, against a judge on loopback."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.judge_server import JudgeServer
from support.stock_tasks import judge_of_stock_tasks, judge_variables

from lmms_manu.errors import ManuError
from lmms_manu.evaluation.harness import HarnessRun, run

VANILLA = {"pretrained": "./short", "prune_rate": 0, "device": "cpu"}


@pytest.fixture(autouse=True)
def _starts_at_once(monkeypatch, warm_python):
    monkeypatch.setattr(sys, "executable", warm_python.python)


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


def test_a_missing_judge_is_found_before_a_model_is_looked_for(folder, environment, tmp_path):
    nowhere = {"pretrained": "no/where", "prune_rate": 0}
    with pytest.raises(ManuError, match="No judge is configured for llava_bench: OPENAI_API_KEY is not set"):
        run(HarnessRun(("mmstar", "llava_in_the_wild"), nowhere, tmp_path), folder=folder, environment=environment)
