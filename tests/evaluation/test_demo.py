"""The demonstration is the same whatever the user's variables say, and goes on where it was interrupted."""

import json
import os

import pytest

from lmms_manu import embedded
from lmms_manu.benchmarks.mllmu.exemplars import ProtocolSettings
from lmms_manu.benchmarks.mllmu.judge_settings import JudgeSettings
from lmms_manu.benchmarks.mllmu.source import HUB_NAME, DatasetSource
from lmms_manu.cli import main
from lmms_manu.evaluation import demo
from lmms_manu.evaluation.evaluate import check_arguments
from lmms_manu.evaluation.harness import Harness, HarnessError


def test_the_users_people_exemplars_and_judge_are_none_of_the_demonstrations(monkeypatch, tmp_path):
    users = {
        "OPENAI_API_KEY": "key",
        "LMMS_MANU_JUDGE": "on",
        "LMMS_MANU_DATASET": str(tmp_path / "no-such-dataset"),
        "LMMS_MANU_EXEMPLARS": "cloze=0",
        "LMMS_MANU_SEED": "7",
        "LMMS_MANU_RECORD": str(tmp_path / "record.json"),
    }
    for name, value in users.items():
        monkeypatch.setenv(name, value)
    with demo.own_surroundings(tmp_path):
        assert demo.pattern(tmp_path / "results").variables["LMMS_MANU_DATASET"] == ""
        assert JudgeSettings.from_environment() is None
        assert ProtocolSettings.from_environment() == ProtocolSettings()
        assert DatasetSource.resolve() == DatasetSource(HUB_NAME)
    assert {name: os.environ[name] for name in users} == users


@pytest.mark.parametrize("extent", [demo.QUICK, demo.USUAL, demo.FULL], ids=lambda extent: extent.name)
def test_every_model_of_it_has_arguments_that_are_allowed_and_a_name_of_its_own(extent):
    plan = demo.plan_of(extent)
    points = list(plan.points())
    for contender in plan.contenders:
        strength = contender.strengths[-1] if contender.strengths else None
        points += [*plan.controls_of(contender, strength), *plan.repeats_of(contender, strength)]
    for point in points:
        check_arguments(point.model_args)
    assert len({point.name for point in points}) == len(points)
    assert {"vanilla", "gold", "manu-ratio-10", "manu-ratio-20-control2"} <= {point.name for point in points}
    assert ("npo-6-seed2" in {point.name for point in points}) is (extent is demo.FULL)


def test_a_failed_evaluation_is_told_by_the_exit_code_and_the_same_command_goes_on(monkeypatch, tmp_path, capsys):
    asked = []

    def harness(self, call, environment):
        asked.append(call.output.parent.name)
        raise HarnessError("enough")

    monkeypatch.setattr(Harness, "run", harness)
    words = ["demo", "--quick", "--output", str(tmp_path / "demo")]
    assert main.main(words) == 1
    assert "the same command tries it again" in capsys.readouterr().err
    assert (tmp_path / "demo" / embedded.GOLD_NAME / "model.safetensors").is_file()
    assert main.main(words) == 1
    assert sorted(asked) == sorted(2 * [point.name for point in demo.plan_of(demo.QUICK).points()])
    assert json.loads((tmp_path / "demo" / "demo.json").read_text()) == {"extent": "quick", "finished": False}
    assert main.main([*words[:1], *words[2:]]) == 2
    assert "holds a demonstration that is quick, not usual" in capsys.readouterr().err


def test_other_models_are_named_by_their_folder(tmp_path, capsys):
    assert main.main(["demo", "--models", str(tmp_path), "--output", str(tmp_path / "demo")]) == 2
    assert "has no folder base: name one that train-tiny wrote" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()
