"""A sweep is every combination of its values, after the vanilla model, from one measurement."""

import contextlib
import json
import subprocess
import time

import psutil
import pytest
from support.one_answer import write_results

from lmms_manu.cli import main
from lmms_manu.errors import SettingError
from lmms_manu.evaluation.evaluate import check_arguments
from lmms_manu.evaluation.harness import Harness
from lmms_manu.evaluation.sweep import Point, points, with_controls


def test_every_combination_is_a_point_after_the_vanilla_model():
    grid = {"recipe": ["paper", "ratio"], "prune_rate": ["2", "10"]}
    vanilla, *edited = points(grid, {"pretrained": "some/x"})
    assert vanilla.model_args == {"pretrained": "some/x", "method": "none"}
    assert [point.name for point in edited] == [
        "paper-2",
        "paper-10",
        "ratio-2",
        "ratio-10",
    ]
    assert all(point.model_args["pretrained"] == "some/x" for point in edited)


def test_a_model_is_evaluated_once_however_often_the_grid_names_it():
    grid = {"recipe": ["paper", "paper"], "prune_rate": ["0", "2", "2", "0.0"]}
    assert [point.name for point in points(grid, {})] == ["vanilla", "paper-2"]


def test_a_sweep_that_prunes_nothing_is_the_vanilla_model_once():
    assert [point.name for point in points({"recipe": ["paper", "ratio"]}, {"prune_rate": "0"})] == ["vanilla"]


def test_the_vanilla_model_has_no_argument_of_an_edit():
    common = {"pretrained": "some/x", "forget_ratio": "10", "random_like": "paper", "towers": "language", "tau": "0.2"}
    vanilla, random = points({"recipe": ["random"]}, common)
    assert vanilla.model_args == {"pretrained": "some/x", "forget_ratio": "10", "method": "none"}
    for point in (vanilla, random):
        check_arguments(point.model_args)


def test_swept_settings_are_checked_together_with_the_shared_ones(tmp_path, capsys):
    controls = ["--recipe", "random", "--prune_rate", "30", "--seed", "0,1", "--output", str(tmp_path), "--dry-run"]
    shared = ["--model_args", "forget_ratio=10,random_like=ratio"]
    assert main.main(["sweep", *controls, *shared]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "random-30-seed1/mllmu_forget" in told
    assert "--tasks mllmu_forget_10" in told
    assert main.main(["sweep", "--recipe", "paper", *controls[2:], *shared]) == 2
    assert "random_like='ratio' needs recipe=random" in capsys.readouterr().err


def test_a_word_adds_random_controls_of_the_same_size(tmp_path, capsys):
    grid = {"recipe": ["paper", "random"], "prune_rate": ["5"]}
    vanilla, paper, *controls, random = with_controls(points(grid, {"forget_ratio": "10"}), 2)
    assert [point.name for point in (vanilla, paper, *controls, random)] == [
        "vanilla",
        "paper-5",
        "paper-5-control0",
        "paper-5-control1",
        "random-5",
    ]
    assert controls[1].model_args == {**paper.model_args, "recipe": "random", "random_like": "paper", "seed": 1}
    dealt = with_controls([Point("kvw", {"method": "kvw"})], 1)[1]
    assert dealt.model_args == {"method": "kvw", "random_control": True, "seed": 0}
    words = ["evaluate", "--suite", "mllmu", "--output", str(tmp_path / "erased"), "--control", "1", "--dry-run"]
    assert main.main([*words, "--model_args", "method=erase"]) == 0
    assert "erased-control0/mllmu_forget: " in capsys.readouterr().out
    assert main.main([*words, "--model_args", "method=none"]) == 2
    assert "erased has no random control of the same size: leave --control out" in capsys.readouterr().err


RUNS = """
model_args: {forget_ratio: 10}
control: 2
runs:
  gold: {method: none, pretrained: some/gold}
  ga: &training {method: ga, epochs: 3, learning_rate: 1e-4, seed: [0, 1]}
  npo: {<<: *training, method: npo, beta: 0.5}
  none_of_it: {method: prompting}
"""


def test_a_file_names_runs_of_several_methods_with_their_seeds_and_controls(tmp_path, capsys):
    file = tmp_path / "runs.yaml"
    file.write_text(RUNS)

    def planned(*more, code=0):
        assert main.main(["sweep", "--config", str(file), "--output", str(tmp_path), "--dry-run", *more]) == code
        return capsys.readouterr()

    every = [line.split("/")[-2] for line in planned().out.splitlines() if "/mllmu_forget: " in line]
    trained = ["{0}-seed0", "{0}-control0", "{0}-control1", "{0}-seed1"]
    named = [name.format(method) for method in ("ga", "npo") for name in trained]
    assert every == ["vanilla", "gold", *named, "none_of_it"]
    assert "--model_args forget_ratio=10,method=npo,epochs=3,learning_rate=1e-4,beta=0.5,seed=1 " in planned().out
    assert "npo-control1" not in planned("--control", "1").out
    assert "forget_ratio=15" not in planned("--model-args", "max_samples=9").out
    assert "--method, --epochs beside --config" in planned("--method", "ga", "--epochs", "1", code=2).err
    for wrong, said in (
        ("runs: {vanilla: {method: none}}", "is evaluated in any case"),
        ("runs: {a: {method: ga, epochs: [[1]]}}", r"runs.a.epochs=[[1]] is neither a value nor a list"),
        ("runs: {a: 3}", "runs.a is no table of settings"),
        ("run: {}", "holds no runs"),
        ("runs: {a: {method: gaa}}", "Did you mean 'ga'"),
        ("runs: {a: {method: ga, epohcs: 1}}", "Did you mean 'epochs'"),
        ("model_args: {seed: [1, 2]}\nruns: {a: {method: ga}}", "model_args.seed has several values"),
        ("control: many\nruns: {a: {method: ga}}", "control='many' is no number"),
        ("contrl: 1\nruns: {a: {method: ga}}", "Did you mean 'control'"),
        ("runs: {a: {method: ga}, a: {method: kl}}", "the key 'a' stands twice"),
    ):
        file.write_text(wrong)
        assert said in planned(code=2).err


def test_a_baseline_is_evaluated_once_for_all_sweeps(monkeypatch, tmp_path, capsys):
    asked = []

    def harness(self, call, environment):
        asked.append(call.output.parent.name)
        config = {"model": "manu_pruned", "model_args": call.config()["model_args"]}
        return write_results(call.output, "mmstar", {"average": 0.5}, config=config)

    monkeypatch.setattr(Harness, "run", harness)
    parts = ["--suite", "utility", "--skip", "mmmu,mmvet,mia_bench,llava_bench", "--quiet"]

    def sweep(recipe, output, *more):
        words = ["sweep", "--recipe", recipe, *parts, "--output", str(tmp_path / output), *more]
        return main.main(words), capsys.readouterr()

    assert sweep("paper", "one")[0] == 0
    code, told = sweep("ratio", "two", "--baseline-from", str(tmp_path / "one"))
    assert code == 0, told.err
    assert asked == ["vanilla", "paper", "ratio"]
    assert "| vanilla |" in (tmp_path / "two" / "report" / "report.md").read_text()
    code, told = sweep("ratio", "three", "--baseline-from", str(tmp_path / "one"), "--limit", "1")
    assert code == 2
    assert "(limit=unset then, 1 now): leave --baseline-from out" in told.err
    code, told = sweep("ratio", "three", "--baseline-from", str(tmp_path / "two"))
    assert (code, "holds no results of lmms-manu evaluate or sweep" in told.err) == (2, True)
    assert sweep("ratio", "three")[0] == 0, "equal results twice are no problem"
    twice = [f"vanilla={tmp_path / sweep / 'vanilla'}" for sweep in ("one", "three")]
    assert main.main(["report", *twice, "--output", str(tmp_path / "report")]) == 0


@pytest.mark.parametrize("grid", [{}, {"recipe": []}])
def test_a_sweep_over_nothing_is_refused(grid):
    with pytest.raises(SettingError, match="needs a setting"):
        points(grid, {})


def test_a_setting_cannot_be_swept_and_fixed_at_once():
    with pytest.raises(SettingError, match="prune_rate cannot be both"):
        points({"prune_rate": ["2"]}, {"prune_rate": "5"})


def test_results_in_folders_of_a_checkpoints_name_are_reported(monkeypatch, tmp_path, capsys):
    def harness(self, call, environment):
        # As the harness does where `pretrained` is given.
        config = {"model": "manu_pruned", "model_args": call.config()["model_args"]}
        return write_results(call.output / "tiny", "mmstar", {"average": 0.5}, config=config)

    monkeypatch.setattr(Harness, "run", harness)
    parts = ["--suite", "utility", "--skip", "mmmu,mmvet,mia_bench,llava_bench", "--limit", "1"]
    grid = ["--recipe", "paper,ratio", "--model_args", "pretrained=some/tiny"]
    assert main.main(["sweep", *grid, *parts, "--output", str(tmp_path)]) == 0, capsys.readouterr().err
    report = (tmp_path / "report" / "report.md").read_text()
    assert all(f"| {point} |" in report for point in ("vanilla", "paper", "ratio"))


def _kill(process):
    """As if the machine went down: nothing gets a chance to put things in order."""
    every = [process, *process.children(recursive=True)]
    for one in every:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(every)


def test_a_sweep_that_was_killed_goes_on_measures_once_and_ends_in_the_report(
    lmms_manu, warm_python, world, variables, tmp_path
):
    out = tmp_path / "sweep"
    grid = ["--recipe", "paper,ratio", "--prune_rate", "10", "--skip", "mllmu_test,mllmu_retain,mllmu_celebrity"]
    words = ["sweep", *grid, "--limit", "1", "--quiet", "--output", str(out)]
    cache = {"LMMS_MANU_CACHE": str(tmp_path / "cache")}
    killed = subprocess.Popen(
        [warm_python.python, "-m", "lmms_manu", *words],
        cwd=world,
        env={**variables, **cache},
        stdout=subprocess.PIPE,
        text=True,
    )
    with killed:
        assert "vanilla/mllmu_forget: done in" in killed.stdout.readline()
        while not (out / "paper-10" / "run.json").exists() and killed.poll() is None:
            time.sleep(0.02)
        _kill(psutil.Process(killed.pid))
    # As if it had been killed a little later: the harness writes a part's results before its samples.
    half = out / "paper-10" / "mllmu_forget" / "20260101_000000_results.json"
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_text((next((out / "vanilla").rglob("*_results.json"))).read_text())

    tracker = {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path)}
    done = lmms_manu(*words, "--log-to", "wandb:sweeps", **cache, **tracker)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "logged vanilla, paper-10, ratio-10 to wandb, project sweeps" in done.stdout
    assert "vanilla/mllmu_forget: done before" in done.stdout
    assert not half.exists()
    edits = [json.loads((out / point / "edit.json").read_text()) for point in ("paper-10", "ratio-10")]
    # Four parts there are; what was measured before it was killed is read.
    assert sum(edit["details"]["rounds"][0]["measured_parts"] for edit in edits) <= 4
    report = (out / "report" / "report.md").read_text()
    assert all(f"| {point} |" in report for point in ("vanilla", "paper-10", "ratio-10"))
