"""Suites through the real harness: what is run is recorded, resumed, and told from what failed."""

import json
import subprocess
import sys

import pytest
from support.one_answer import write_results

from lmms_manu import variables
from lmms_manu.cli import main
from lmms_manu.evaluation.harness import Harness

ONE_PART = ("--suite", "mllmu", "--skip", "mllmu_test,mllmu_retain,mllmu_celebrity", "--limit", "1", "--quiet")


def test_a_suite_is_recorded_resumed_and_never_overwritten(lmms_manu, tmp_path):
    def evaluate(recipe: str, *words: str):
        arguments = ["--model_args", f"forget_ratio=5,recipe={recipe}", "--output", str(tmp_path / "ratio"), *words]
        return lmms_manu("evaluate", *ONE_PART, *arguments, WANDB_MODE="offline", WANDB_DIR=str(tmp_path))

    first = evaluate("ratio")
    assert first.returncode == 0, first.stdout + first.stderr
    manifest = json.loads((tmp_path / "ratio" / "run.json").read_text())
    assert manifest["parts"]["mllmu_forget"]["status"] == "done"
    assert (tmp_path / "ratio" / manifest["parts"]["mllmu_forget"]["results"]).is_file()
    assert manifest["edit"]["variant"][0] == ["recipe", "ratio"]
    assert manifest["edit"]["fingerprint"]
    assert manifest["versions"]["lmms-eval"]

    again = evaluate("ratio", "--log-to", "wandb")
    assert again.returncode == 0, again.stderr
    assert "mllmu_forget: done before" in again.stdout
    assert "logged ratio to wandb, project lmms-manu" in again.stdout
    assert list(tmp_path.rglob("*.wandb"))

    other = evaluate("paper")
    assert other.returncode == 2
    assert "other arguments (recipe=ratio then, paper now)" in other.stderr


def test_a_part_that_fails_is_told_and_leaves_the_folder_to_other_arguments(lmms_manu, tmp_path):
    no_checkpoint = f"pretrained={tmp_path}"
    done = lmms_manu("evaluate", *ONE_PART, "--model_args", no_checkpoint, "--output", str(tmp_path))
    assert done.returncode == 1
    assert "left no results for mllmu_forget" in done.stdout
    assert json.loads((tmp_path / "run.json").read_text())["parts"]["mllmu_forget"]["status"] == "failed"

    corrected = lmms_manu("evaluate", *ONE_PART, "--model_args", "recipe=ratio", "--output", str(tmp_path), "--dry-run")
    assert corrected.returncode == 0, corrected.stderr


@pytest.mark.parametrize("wrong", [("--limit", "0"), ("--limit", "-3"), ("--processes", "0")])
def test_a_number_out_of_range_is_refused_before_the_judge_is_looked_for(monkeypatch, tmp_path, capsys, wrong):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main.main(["evaluate", "--suite", "all", *wrong, "--output", str(tmp_path), "--dry-run"]) == 2
    assert f"{wrong[0][2:]}={wrong[1]} is out of range: allowed is at least 1" in capsys.readouterr().err


def test_a_folder_whose_name_the_harness_would_split_is_refused(tmp_path, capsys):
    folder = tmp_path / "5,10"
    assert main.main(["evaluate", "--suite", "mllmu", "--output", str(folder)]) == 2
    assert "5,10/mllmu_forget': lmms-eval takes no value with a comma" in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.parametrize("name", ["pretrained", "processor", "adapter", "mask"])
def test_a_path_with_nothing_there_is_refused_once_for_all_parts(tmp_path, capsys, name):
    words = ["evaluate", "--suite", "mllmu", "--model_args", f"{name}=./nosuch", "--output", str(tmp_path)]
    assert main.main(words) == 2
    assert f"{name}='./nosuch': there is no such f" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_a_plan_is_shown_before_the_judge_is_missed(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main.main(["evaluate", "--suite", "all", "--output", str(tmp_path), "--dry-run"]) == 2
    told = capsys.readouterr()
    assert "--tasks mmvet" in told.out
    assert "OPENAI_API_KEY is not set" in told.err


def test_a_folder_in_use_is_refused_at_once(tmp_path, capsys):
    hold = (
        "import filelock, sys\n"
        "with filelock.FileLock(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path / "run.json.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert main.main(["evaluate", *ONE_PART, "--output", str(tmp_path)]) == 2
        other.communicate()
    assert "is in use by another evaluation" in capsys.readouterr().err
    assert not (tmp_path / "run.json").exists()


def test_results_that_something_else_left_there_are_not_removed(tmp_path, capsys):
    kept = tmp_path / "mllmu_forget" / "20260101_000000_results.json"
    kept.parent.mkdir()
    kept.write_text("{}")
    assert main.main(["evaluate", *ONE_PART, "--output", str(tmp_path)]) == 2
    assert "holds a folder 'mllmu_forget' that is none of this command's" in capsys.readouterr().err
    assert kept.read_text() == "{}"
    assert not (tmp_path / "run.json").exists()


@pytest.fixture
def answered(monkeypatch):
    """A harness that leaves behind what it does for one answer, judged or not; the variables are none of the user's."""

    def harness(self, call, environment):
        return write_results(call.output, f"{call.tasks[0]}_cloze_text", {"cloze_accuracy": 100})

    monkeypatch.setattr(Harness, "run", harness)
    for name in (*variables.HELP, "OPENAI_API_KEY", "OPENAI_API_URL", "MODEL_VERSION"):
        monkeypatch.delenv(name, raising=False)


TWO_PARTS = ("--suite", "mllmu", "--skip", "mllmu_retain,mllmu_celebrity", "--limit", "1", "--quiet")


@pytest.mark.parametrize(
    ("name", "value", "same"),
    [
        ("LMMS_MANU_DATASET", "./people", "MLLMMU/MLLMU-Bench"),
        ("LMMS_MANU_EXEMPLARS", "cloze=0", "classification=1"),
        ("LMMS_MANU_SEED", "7", "0"),
    ],
)
def test_the_rest_is_not_asked_in_another_way_than_what_is_done(
    answered, monkeypatch, tmp_path, capsys, name, value, same
):
    assert main.main(["evaluate", *ONE_PART, "--output", str(tmp_path)]) == 0
    monkeypatch.setenv(name, value)
    assert main.main(["evaluate", *TWO_PARTS, "--output", str(tmp_path)]) == 2
    assert f"other arguments ({name}=" in capsys.readouterr().err
    monkeypatch.setenv(name, same)
    assert main.main(["evaluate", *TWO_PARTS, "--output", str(tmp_path)]) == 0


def test_a_record_that_does_not_say_how_it_was_asked_can_be_gone_on_with(answered, tmp_path):
    words = ["--output", str(tmp_path)]
    assert main.main(["evaluate", *ONE_PART, *words]) == 0
    manifest = json.loads((tmp_path / "run.json").read_text())
    del manifest["protocol"], manifest["parts"]["mllmu_forget"]["judge"]
    (tmp_path / "run.json").write_text(json.dumps(manifest))
    assert main.main(["evaluate", *TWO_PARTS, *words]) == 0


def test_the_rest_is_not_judged_by_another_judge_than_what_is_done(answered, monkeypatch, tmp_path, capsys):
    one, two = (["evaluate", *parts, "--output", str(tmp_path)] for parts in (ONE_PART, TWO_PARTS))
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret")
    monkeypatch.setenv("OPENAI_API_URL", "http://me:a-secret@judge/v1?key=a-secret")
    assert main.main(one) == 0
    assert "a-secret" not in (tmp_path / "run.json").read_text()
    monkeypatch.setenv("OPENAI_API_URL", "http://another/v1")
    assert main.main(one) == 0, "nothing is left to be judged"
    assert main.main(two) == 2
    assert "another judge (OPENAI_API_URL=http://judge/v1 then, http://another/v1 now)" in capsys.readouterr().err
    monkeypatch.setenv("OPENAI_API_URL", "http://judge/v1/chat/completions")
    assert main.main(two) == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "mine"}'])
def test_a_record_that_is_none_is_left_as_it_is(tmp_path, capsys, text):
    (tmp_path / "run.json").write_text(text)
    assert main.main(["evaluate", *ONE_PART, "--output", str(tmp_path)]) == 2
    assert "holds a run.json that is damaged or none of this command's: name another" in capsys.readouterr().err
    assert (tmp_path / "run.json").read_text() == text


def test_a_part_without_a_verdict_is_told_and_run_again(monkeypatch, tmp_path, capsys):
    judged = iter([0, 1])

    def harness(self, call, environment):
        # What the harness leaves behind for two answers; the judge comes back for the second call.
        values = {"scored": 2, "not_judged": 2 - next(judged)}
        return write_results(call.output, "mllmu_forget_generation_text", values, answers=2)

    monkeypatch.setattr(Harness, "run", harness)
    words = ["evaluate", *ONE_PART, "--output", str(tmp_path)]
    assert main.main(words) == 1
    assert "no verdict for mllmu_forget_generation_text" in capsys.readouterr().out
    assert json.loads((tmp_path / "run.json").read_text())["parts"]["mllmu_forget"]["status"] == "unjudged"
    assert main.main(words) == 0
    assert main.main(words) == 0
    assert "done before" in capsys.readouterr().out


@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(file.read_bytes()[:-1]), lambda file: file.unlink()])
def test_a_part_whose_samples_are_not_all_there_has_failed_and_is_run_again(monkeypatch, tmp_path, capsys, spoil):
    spoiling = iter([True, False, True])

    def harness(self, call, environment):
        file = write_results(call.output, "mllmu_forget_cloze_text", {"cloze_accuracy": 100}, answers=3)
        if next(spoiling):
            spoil(next(file.parent.glob("*.jsonl")))
        return file

    monkeypatch.setattr(Harness, "run", harness)
    words = ["evaluate", *ONE_PART, "--output", str(tmp_path)]
    assert main.main(words) == 1
    assert "The same command runs this part again" in capsys.readouterr().out
    assert json.loads((tmp_path / "run.json").read_text())["parts"]["mllmu_forget"]["status"] == "failed"
    assert main.main(words) == 0
    spoil(next(tmp_path.rglob("*.jsonl")))
    assert main.main([*words, "--dry-run"]) == 0
    assert "done before" not in capsys.readouterr().out, "what was cut off after it was done is no longer done"


def test_what_was_done_with_other_versions_is_told_and_both_are_kept(answered, tmp_path, capsys):
    words = ["--output", str(tmp_path)]
    assert main.main(["evaluate", *ONE_PART, *words]) == 0
    manifest = json.loads((tmp_path / "run.json").read_text())
    here = manifest["parts"]["mllmu_forget"]["versions"]["lmms-eval"]
    manifest["parts"]["mllmu_forget"]["versions"]["lmms-eval"] = "0.7.0"
    (tmp_path / "run.json").write_text(json.dumps(manifest))
    assert main.main(["evaluate", *TWO_PARTS, *words]) == 0
    assert f"done before, with other versions (lmms-eval 0.7.0 then, {here} now)" in capsys.readouterr().out
    parts = json.loads((tmp_path / "run.json").read_text())["parts"]
    assert [part["versions"]["lmms-eval"] for part in parts.values()] == ["0.7.0", here]
