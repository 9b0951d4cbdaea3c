"""The demonstration is the same whatever the user's variables say."""

import pytest

from lmms_manu.benchmarks.mllmu.exemplars import ProtocolSettings
from lmms_manu.benchmarks.mllmu.judge_settings import JudgeSettings
from lmms_manu.benchmarks.mllmu.source import HUB_NAME, DatasetSource
from lmms_manu.evaluation import demo
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
    given = []

    def harness(self, call):
        given.append(self.environment)
        raise HarnessError("enough")

    monkeypatch.setattr(Harness, "run", harness)
    with pytest.raises(HarnessError, match="enough"):
        demo.run_demo(tmp_path, print)
    for name, value in given[0].items():
        monkeypatch.setenv(name, value)
    assert JudgeSettings.from_environment() is None
    assert ProtocolSettings.from_environment() == ProtocolSettings()
    assert DatasetSource.resolve() == DatasetSource(HUB_NAME)
