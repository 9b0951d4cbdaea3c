"""Evaluations in one process: results that it did not finish are none, and who ends it ends no other."""

import contextlib
import sys

import pytest

from lmms_manu.evaluation.harness import Harness, HarnessError, HarnessRun, run
from lmms_manu.evaluation.jobs import DONE

WORKER = """
import json, os, pathlib, sys
for line in sys.stdin:
    words = json.loads(line)["words"]
    task, folder = (words[words.index(name) + 1] for name in ("--tasks", "--output_path"))
    print(os.getpid(), json.loads(line)["environment"], flush=True)
    if task == "deadly":
        os._exit(9)
    pathlib.Path(folder, "1_results.json").write_text(json.dumps({"results": {task: {}}}))
    print(sys.argv[1], flush=True)
"""


@pytest.mark.parametrize("text", ['{"results": {"mmstar": {', "", '{"results": {}}'])
def test_a_results_file_that_was_cut_off_is_told_with_the_end_of_the_log(monkeypatch, tmp_path, text):
    file = tmp_path / "20260101_000000_results.json"
    code = f"import pathlib; print('the last words'); pathlib.Path({str(file)!r}).write_text({text!r})"
    monkeypatch.setattr(HarnessRun, "launcher", lambda self: [sys.executable, "-c", code])
    with pytest.raises(HarnessError, match=r"left no results for mmstar .*\n  \| the last words"):
        run(HarnessRun(("mmstar",), {}, tmp_path), folder=tmp_path)


def test_evaluations_share_a_process_until_one_of_them_ends_it(monkeypatch, tmp_path):
    monkeypatch.setattr(HarnessRun, "launcher", lambda self: [sys.executable, "-c", WORKER, DONE])
    logs = []
    with Harness(tmp_path) as harness:
        for task in ("one", "two", "deadly", "three"):
            expected = pytest.raises(HarnessError) if task == "deadly" else contextlib.nullcontext()
            with expected:
                harness.run(HarnessRun((task,), {}, tmp_path / task), {"URL": task})
            logs.append((tmp_path / task / "lmms-eval.log").read_text())
    processes = [log.split()[0] for log in logs]
    assert processes[0] == processes[1] == processes[2] != processes[3]
    assert [log.partition(" ")[2].strip() for log in logs] == [
        f"{{'URL': '{task}'}}" for task in ("one", "two", "deadly", "three")
    ]
