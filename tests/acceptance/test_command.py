"""The command that users type works to the letter, and in every other way of starting the harness."""

import json
import re

import pytest
import yaml
from support.documented import ROOT

EXAMPLES = ROOT / "examples"
LEAF = "mllmu_forget_cloze_text"


def printed_scores(text: str) -> dict[str, float]:
    """Task and metric of the harness's printed tables, with the value."""
    rows = re.findall(r"\|\s*[- ]*(\w+)\s*\|[^|]*\|[^|]*\|(\w+)\s*\|[^|]*\|\s*([\d.]+)\s*\|", text)
    return {f"{task} {metric}": float(value) for task, metric, value in rows}


def test_the_users_command_runs_to_the_end_without_a_flag(run_from_scratch):
    done = run_from_scratch("lmms-eval", "--model", "manu_pruned", "--tasks", "mllmu_forget,mmmu")
    text = done.stdout + done.stderr
    assert "Error during evaluation" not in text, text[-3000:]
    scores = printed_scores(done.stdout)
    assert "mllmu_forget classification_accuracy" in scores, done.stdout[-5000:]
    assert "mmmu_val mmmu_acc" in scores
    assert re.search(r"edited \d+ of \d+ language neurons, \d+ of \d+ vision neurons", text), (
        "nobody said what was pruned"
    )


@pytest.mark.parametrize("launcher", [["-m", "lmms_eval"], ["-m", "torch.distributed.run", "-m", "lmms_eval"]])
def test_other_ways_to_start_the_harness_find_model_and_tasks(run_from_scratch, tmp_path, launcher):
    arguments = [
        "--model",
        "manu_pruned",
        "--model_args",
        "prune_rate=0",
        "--tasks",
        LEAF,
        "--output_path",
        str(tmp_path),
    ]
    done = run_from_scratch("python", *launcher, *arguments, ACCELERATE_USE_CPU="true")
    (results,) = tmp_path.rglob("*_results.json")
    scores = json.loads(results.read_text())["results"][LEAF]
    assert scores["cloze_accuracy,none"] > 90, done.stdout[-3000:]


def test_simple_evaluate_finds_them_and_the_object_serves_twice(run):
    code = (
        "from lmms_eval import evaluator\n"
        "from lmms_manu.plugins.manu_pruned import ManuPruned\n"
        f"by_name = evaluator.simple_evaluate('manu_pruned', model_args='prune_rate=0', tasks=['{LEAF}'])\n"
        "model = ManuPruned(prune_rate=0)\n"
        f"again = [evaluator.simple_evaluate(model, tasks=['{LEAF}']) for _ in range(2)]\n"
        f"print('SCORES', [r['results']['{LEAF}']['cloze_accuracy,none'] for r in (by_name, *again)])\n"
    )
    done = run("python", "-c", code)
    line = next((line for line in done.stdout.splitlines() if line.startswith("SCORES")), done.stderr[-3000:])
    first, second, third = json.loads(line.removeprefix("SCORES "))
    assert first == second == third > 90


def test_runs_of_a_file_go_on_behind_those_whose_arguments_are_wrong_before_a_weight_is_read(run, tmp_path):
    words = {
        "prune_rate=120": ["prune_rate=120", "0 to 100"],
        "recipe=papr": ["recipe='papr'", "'paper'?"],
        "forget_ratio=7": ["forget_ratio=7", "5, 10, 15"],
        "prune_rat=2": ["prune_rat=2", "'prune_rate'?"],
    }
    # The named checkpoint does not exist: whoever looked for it first would complain of that.
    runs = [{"model": "manu_pruned", "model_args": f"pretrained=no/such,{wrong}", "tasks": LEAF} for wrong in words]
    example = yaml.safe_load((EXAMPLES / "runs.yaml").read_text(encoding="utf-8"))
    runs += [{**one, "output_path": str(tmp_path / one["output_path"])} for one in example]
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    done = run("lmms-eval", "--config", str(tmp_path / "runs.json"), "--limit", "1")
    complaints = [line for line in done.stderr.splitlines() if "SettingError: " in line]
    assert len(complaints) == len(words), done.stderr[-2000:]
    for complaint, said in zip(complaints, words.values(), strict=True):
        assert all(word in complaint for word in said)
        assert "no/such" not in complaint
    for one in example:
        (results,) = (tmp_path / one["output_path"]).rglob("*_results.json")
        assert {"mllmu_forget", "mllmu_retain"} <= json.loads(results.read_text())["results"].keys()


def test_a_model_pruned_for_one_ratio_is_not_asked_about_another(run, tmp_path):
    arguments = ["--model_args", "forget_ratio=10", "--tasks", LEAF, "--output_path", str(tmp_path)]
    done = run("lmms-eval", "--model", "manu_pruned", *arguments)
    assert re.search(r"forget ratio 5.*forget_ratio=10", done.stdout + done.stderr)
    assert not list(tmp_path.rglob("*_results.json"))
