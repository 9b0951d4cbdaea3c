"""Several processes of one evaluation, from the command line, over gloo."""

from __future__ import annotations

import dataclasses
import json
import socket
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
import torch
from accelerate import Accelerator
from support.models import save_llava
from support.stock_tasks import write_mmstar
from support.tiny import make_dataset

from lmms_manu.errors import SettingError
from lmms_manu.models.settings import ModelSettings
from lmms_manu.plugins.harness_processes import join_launched_processes

TASKS = "mllmu_forget_10_cloze_multimodal,mmstar"
ARGUMENTS = "pretrained=./short,prune_rate=5,forget_ratio=10,max_samples=6"


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended, what it said, and after how many seconds."""

    code: int
    said: str
    seconds: float


def launch(python: str, folder: Path, variables, tasks: str, output: Path, launcher: Sequence[str] = ()) -> Ended:
    command = [python, *launcher, "-m", "lmms_eval", "--model", "manu_pruned", "--model_args", ARGUMENTS]
    command += ["--tasks", tasks, "--output_path", str(output), "--log_samples", "--limit", "3"]
    started = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=300, check=False)
    return Ended(done.returncode, done.stdout + done.stderr, time.monotonic() - started)


def launch_on_two_nodes(python: str, folder: Path, variables, tasks: str, output: Path, caches: Path) -> list[Ended]:
    """Two launchers that meet over loopback, each with a process and a cache of its own, as those of two machines."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = f"127.0.0.1:{free.getsockname()[1]}"
    launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1", "--rdzv_backend", "c10d"]
    launcher += ["--rdzv_endpoint", meeting, "--local_addr", "127.0.0.1"]

    def start(node: int) -> Ended:
        own = {**variables, "ACCELERATE_USE_CPU": "true", "LMMS_MANU_CACHE": str(caches / f"node {node}")}
        return launch(python, folder, own, tasks, output, launcher)

    with ThreadPoolExecutor(2) as nodes:
        return list(nodes.map(start, range(2)))


def answers(output: Path) -> dict[tuple[str, int], list]:
    """The answers by task and document."""
    samples = {}
    for file in output.glob("**/*_samples_*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            sample = json.loads(line)
            samples[file.stem.partition("_samples_")[2], sample["doc_id"]] = sample["filtered_resps"]
    return samples


def results(output: Path) -> dict:
    (file,) = output.glob("**/*_results.json")
    return json.loads(file.read_text(encoding="utf-8"))


def test_two_nodes_prune_and_answer_as_one_process_does(warm_python, folder, environment, tmp_path):
    # None finds statistics of another: each measures by itself.
    alone = {**environment, "LMMS_MANU_CACHE": str(tmp_path / "alone")}
    one = launch(warm_python.python, folder, alone, TASKS, tmp_path / "one")
    nodes = launch_on_two_nodes(warm_python.python, folder, environment, TASKS, tmp_path / "two", tmp_path)
    said = "".join(node.said for node in nodes)
    assert [node.code for node in nodes] == [0, 0], said[-3000:]
    assert answers(tmp_path / "one"), one.said[-3000:]
    assert answers(tmp_path / "one") == answers(tmp_path / "two")
    first, second = results(tmp_path / "one"), results(tmp_path / "two")
    assert first["results"] == second["results"]
    for count in ("total_gen_tokens", "avg_prompt_tokens"):
        assert first["throughput"][count] == second["throughput"][count], "work is counted in every process"
    pruned = [line for line in said.splitlines() if "manu paper 5 %: edited" in line]
    assert len(pruned) == 1, "rank 0 alone says what was pruned"


def test_a_process_that_fails_takes_those_of_the_other_node_down_with_its_own_message(
    warm_python, folder, environment, tmp_path
):
    world = tmp_path / "world"
    write_mmstar(world, documents=4)
    for name in ("short", "people"):
        (world / name).symlink_to(folder / name)
    _break_picture(world, document=1)
    # A cache of its own: a data set of the same relative path is found in a shared one, whole.
    variables = {**environment, "LMMS_EVAL_DATASETS_CACHE": str(tmp_path / "cache")}
    nodes = launch_on_two_nodes(warm_python.python, world, variables, "mmstar", tmp_path / "out", tmp_path)
    assert all(node.code != 0 for node in nodes)
    told = [node for node in nodes if "Process 1 of 2 failed: DataError: mmstar, document 1: a picture" in node.said]
    assert len(told) == 1
    assert abs(nodes[0].seconds - nodes[1].seconds) < 60, "the other node was not waited for"
    assert not list((tmp_path / "out").glob("**/*_results.json"))


RANK_OF_ITS_OWN = """
import os, sys

if os.environ["RANK"] == "1" and sys.argv[1] == "documents":
    os.chdir("second")
from lmms_eval.__main__ import cli_evaluate

of_second = dict(zip(sys.argv[1].split(","), sys.argv[2].split(",")))
if os.environ["RANK"] == "1":
    os.environ["LMMS_MANU_DATASET"] = of_second.get("dataset", os.environ["LMMS_MANU_DATASET"])
pretrained = of_second.get("pretrained", "./short") if os.environ["RANK"] == "1" else "./short"
sys.argv = ["lmms_eval", "--model", "manu_pruned", "--model_args", f"pretrained={pretrained},prune_rate=0"]
task = "mmstar" if "documents" in of_second else "mllmu_forget_10_cloze_text"
sys.argv += ["--tasks", task, "--limit", "3", "--output_path", "out"]
cli_evaluate()
"""


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("pretrained", "the weights"),
        ("dataset", "the data of MLLMU-Bench"),
        ("documents", "the documents of mmstar"),
    ],
    ids=["weights", "data", "stock documents"],
)
def test_processes_with_different_weights_or_data_end_although_nothing_is_edited(
    warm_python, folder, environment, tmp_path, what, told
):
    for name in ("short", "people"):
        (tmp_path / name).symlink_to(folder / name)
    if what == "pretrained":
        save_llava(tmp_path / "other", context=400, seed=1)
    elif what == "dataset":
        make_dataset(tmp_path / "other", people=20, seed=1)
    else:
        write_mmstar(tmp_path, documents=4)
        _give_the_second_process_another_answer(tmp_path)
    (tmp_path / "run.py").write_text(RANK_OF_ITS_OWN)
    command = [warm_python.python, "-m", "torch.distributed.run", "--nproc_per_node", "2", "run.py", what, "./other"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**environment, "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode != 0
    assert f"The processes differ in {told} (" in done.stdout + done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"device": "cpu"},
            "2 processes were started, but on cpu they do not work together: set ACCELERATE_USE_CPU=true",
        ),
        ({"device_map": "auto"}, "spreads one model over all devices, but 2 processes would each do so"),
    ],
)
def test_processes_that_cannot_work_together_are_refused_with_what_to_type(monkeypatch, settings, message):
    Accelerator()  # joined before the launcher's variables are set, as a launcher does that accelerate ignores
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingError, match=message):
        join_launched_processes(torch.device("cpu"), ModelSettings(**settings))


def _give_the_second_process_another_answer(world: Path) -> None:
    second = world / "second"
    second.mkdir()
    for name in ("short", "people"):
        (second / name).symlink_to(world / name)
    write_mmstar(second, documents=4)
    (file,) = second.glob("Lin-Chen/MMStar/data/*.parquet")
    table = parquet.read_table(file)
    rows = table.to_pylist()
    rows[3]["answer"] = "C" if rows[3]["answer"] != "C" else "D"
    parquet.write_table(table.from_pylist(rows, schema=table.schema), file)


def _break_picture(world: Path, document: int) -> None:
    """Stores something else in the place of one picture; the harness reads cut ones without an error."""
    (file,) = world.glob("Lin-Chen/MMStar/data/*.parquet")
    table = parquet.read_table(file)
    rows = table.to_pylist()
    rows[document]["image"]["bytes"] = b"not a picture"
    parquet.write_table(table.from_pylist(rows, schema=table.schema), file)


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "ACCELERATE_USE_CPU"):
        monkeypatch.delenv(name, raising=False)
