"""The tasks from the command line, in two processes, with a judge on loopback."""

import hashlib
import json
import subprocess

import pytest
from support.judge_server import JudgeServer, verdict
from support.models import save_llava
from support.rows import altered

LEAVES = ("mllmu_forget_15_generation_multimodal", "mllmu_forget_15_cloze_text")


def by_prompt(number, body):
    """A score that depends on nothing but what the judge is shown."""
    return verdict(1 + hashlib.sha256(body["messages"][1]["content"].encode()).digest()[0] % 10)


@pytest.fixture(scope="module")
def world(tmp_path_factory, folder):
    """A working directory with a tiny checkpoint and the dataset, one of whose pictures is cut off."""
    root = tmp_path_factory.mktemp("world")
    save_llava(root / "tiny", context=4096)

    def cut_off(rows):
        rows[1]["image"] = {"bytes": rows[1]["image"]["bytes"][:300], "path": None}

    (root / "MLLMMU").mkdir()
    altered(folder, root / "MLLMMU" / "MLLMU-Bench", forget_15=cut_off)
    return root


def test_two_processes_bring_their_scores_verdicts_and_skipped_questions_together(world, warm_python, tmp_path):
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command = [warm_python.python, *launcher, "-m", "lmms_eval", "--model", "manu_pruned", "--tasks", ",".join(LEAVES)]
    command += ["--model_args", "pretrained=./tiny,prune_rate=0", "--output_path", str(tmp_path), "--log_samples"]
    with JudgeServer(by_prompt) as server:
        environment = {
            **warm_python.variables,
            "OPENAI_API_URL": server.url,
            "LMMS_MANU_CACHE": str(tmp_path / "cache"),
            "ACCELERATE_USE_CPU": "true",
        }
        done = subprocess.run(command, cwd=world, env=environment, capture_output=True, text=True, check=False)
    (file,) = tmp_path.glob("**/*_results.json")
    results = json.loads(file.read_text())["results"]
    generation, cloze = (results[leaf] for leaf in LEAVES)
    assert (generation["scored,none"], generation["skipped,none"], generation["not_judged,none"]) == (4, 2, 0)
    assert (cloze["scored,none"], cloze["skipped,none"]) == (4, 0)
    (samples,) = tmp_path.glob(f"**/*_samples_{LEAVES[0]}.jsonl")
    scored = [sample for sample in map(json.loads, samples.read_text().splitlines()) if "scored" in sample]
    assert len({(sample["scored"]["person"], sample["scored"]["number"]) for sample in scored}) == 4
    means = {
        "rouge_l": sum(sample["rouge_l"] for sample in scored) / 4,
        "factuality": sum(sample["factuality"]["score"] for sample in scored) / 4,
    }
    assert {metric: generation[f"{metric},none"] for metric in means} == pytest.approx(means), done.stderr[-2000:]
    assert len(server.requests) == len({json.dumps(request["messages"]) for request in server.requests}) <= 4
