"""Suites through the real harness: what is run is recorded, resumed, and told from what failed."""

import json
import subprocess
import sys

import pytest

from lmms_manu import embedded


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return embedded.lay_out(tmp_path_factory.mktemp("world"))


def evaluate(world, *words: str) -> subprocess.CompletedProcess[str]:
    arguments = ["--suite", "mllmu", "--skip", "mllmu_test,mllmu_retain,mllmu_celebrity", "--limit", "1", "--quiet"]
    command = [sys.executable, "-m", "lmms_manu", "evaluate", *arguments, "--output", "out", *words]
    return subprocess.run(command, cwd=world, capture_output=True, text=True, timeout=300)


def test_a_suite_is_recorded_resumed_and_never_overwritten(world):
    first = evaluate(world, "--model_args", "forget_ratio=5,recipe=ratio")
    assert first.returncode == 0, first.stdout + first.stderr
    manifest = json.loads((world / "out" / "run.json").read_text())
    assert manifest["parts"]["mllmu_forget"]["status"] == "done"
    assert (world / "out" / manifest["parts"]["mllmu_forget"]["results"]).is_file()
    assert manifest["edit"]["recipe"] == "ratio"
    assert manifest["edit"]["mask"]
    assert manifest["versions"]["lmms-eval"]

    again = evaluate(world, "--model_args", "forget_ratio=5,recipe=ratio")
    assert again.returncode == 0
    assert "mllmu_forget: done before" in again.stdout

    other = evaluate(world, "--model_args", "forget_ratio=5,recipe=paper")
    assert other.returncode == 2
    assert "other arguments" in other.stderr


def test_a_part_that_fails_is_the_exit_code_and_is_told(world, tmp_path):
    out = tmp_path / "failing"
    done = evaluate(world, "--model_args", f"pretrained={tmp_path / 'none'}", "--output", str(out))
    assert done.returncode == 1
    assert "left no results for mllmu_forget" in done.stdout
    assert json.loads((out / "run.json").read_text())["parts"]["mllmu_forget"]["status"] == "failed"
