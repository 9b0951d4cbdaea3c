"""Several models at a time, as many as there is room for, with a word about how far all of it is."""

import threading

import psutil
import pytest
from safetensors.torch import save_file
from torch import zeros

from lmms_manu.evaluation.harness import Harness
from lmms_manu.evaluation.progress import Progress
from lmms_manu.evaluation.side_by_side import environments, models_at_once, side_by_side


def test_whoever_is_free_takes_the_next_one_and_results_keep_their_order(tmp_path):
    both, took = threading.Barrier(2), {}

    def work(item, harness):
        if item < 2:
            both.wait(timeout=30)
        took[item] = harness
        return item * item

    assert side_by_side(work, range(7), [Harness(tmp_path), Harness(tmp_path)]) == [0, 1, 4, 9, 16, 25, 36]
    assert took[0] is not took[1]


def test_an_error_of_one_is_everybodys(tmp_path):
    def work(item, harness):
        raise ValueError(f"item {item}")

    for count in (1, 2):
        with pytest.raises(ValueError, match="item"):
            side_by_side(work, range(3), [Harness(tmp_path) for _ in range(count)])


def test_without_a_gpu_as_many_models_run_as_fit_into_cores_and_memory(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1, 2, 3})
    memory = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=7 << 30))
    (tmp_path / "small").mkdir()
    save_file({"weight": zeros(1000)}, tmp_path / "small" / "model.safetensors")
    assert models_at_once(9, ["small"], tmp_path) == 3
    assert models_at_once(2, ["small"], tmp_path) == 2
    assert models_at_once(9, ["small", "some/on-the-hub"], tmp_path) == 1
    assert models_at_once(9, ["small"], tmp_path, processes=2) == 1
    assert environments(2) == [{"OMP_NUM_THREADS": "2"}] * 2
    assert environments(1) == [{}]


def test_what_runs_what_is_done_and_what_is_left_is_said(capsys):
    said = []
    progress = Progress(3, said.append)
    progress.end("vanilla", "done before")
    progress.begin("paper")
    progress.end("paper", "done in 4 s")
    progress.begin("ratio")
    progress.end("ratio", "done in 4 s")
    assert said == ["vanilla: done before", "paper: done in 4 s", "ratio: done in 4 s"]
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["paper: 2 of 3 is running", "ratio: 3 of 3 is running, about 0 s are left"]
