"""An edited model on a hub: its card, its numbers, what it warns of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from support.hub_server import hub

from lmms_manu.cli import main as cli
from lmms_manu.files import write_json
from lmms_manu.methods.record import EditRecord
from lmms_manu.names import RECORD_FILE
from lmms_manu.report.runs import read_runs


@pytest.fixture
def record(written: Path) -> EditRecord:
    (run,) = read_runs([str(written / "paper")])
    assert run.edit is not None
    return run.edit


@pytest.fixture
def edit(record: EditRecord, tmp_path: Path) -> Path:
    """The folder of an edit by itself."""
    folder = tmp_path / "edit"
    folder.mkdir()
    write_json(folder / RECORD_FILE, record.as_dict())
    (folder / "mask.safetensors").write_bytes(bytes(range(200)))
    return folder


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HF_TOKEN", "hf_not_a_real_one")
    folder = tmp_path / "remote"
    folder.mkdir()
    with hub("me/forgetful", folder, tmp_path / "cache"):
        yield folder


def test_an_edit_is_published_with_its_numbers_and_warnings(
    edit: Path, record: EditRecord, remote: Path, written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [str(written / name) for name in ("vanilla", "paper")]
    words = ["push", str(edit), "--repo", "me/forgetful", "--dataset", "owner/bench", "--license", "llama2"]
    assert cli.main([*words, "--results", *results]) == 0, capsys.readouterr().err
    assert "me/forgetful" in capsys.readouterr().out
    names = {path.relative_to(remote).as_posix() for path in remote.rglob("*") if path.is_file()}
    assert {"README.md", ".eval_results/results.yaml", RECORD_FILE, "mask.safetensors"} <= names
    assert (remote / "mask.safetensors").read_bytes() == bytes(range(200))
    assert (remote / ".private").read_text(encoding="utf-8") in ("True", "private")
    card = ModelCard.load(remote / "README.md")
    assert (card.data.license, card.data.base_model) == ("llama2", record.checkpoint)
    assert card.data["base_model_relation"] == "adapter"
    for said in ("shows an attacker", "do not prove", "Share forgotten", "lmms-eval --model", "llama2"):
        assert said in card.text
    assert f"lmms-manu edit --pretrained {record.checkpoint} --edit PATH" in card.text
    entries = yaml.safe_load((remote / ".eval_results" / "results.yaml").read_text(encoding="utf-8"))
    (cloze,) = [entry for entry in entries if entry["dataset"]["task_id"] == "mllmu_forget_10_cloze_text"]
    assert cloze["dataset"]["id"] == "owner/bench"
    assert cloze["notes"] == "Forget set, Cloze; lower is better"


def test_nothing_is_published_in_a_dry_run(edit: Path, remote: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["push", str(edit), "--repo", "me/forgetful", "--license", "mit", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "Nothing was measured." in said
    assert "mask.safetensors" in said
    assert os.listdir(remote) == []


def test_results_of_another_edit_are_refused(edit: Path, written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["push", str(edit), "--repo", "me/forgetful", "--license", "mit", "--dry-run"]
    assert cli.main([*words, "--results", str(written / "vanilla"), str(written / "ratio")]) == 2
    assert "is of this edit" in capsys.readouterr().err


def test_what_is_no_edit_or_no_repository_is_refused(
    edit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["push", str(tmp_path), "--repo", "me/forgetful"]) == 2
    assert "holds no edit" in capsys.readouterr().err
    assert cli.main(["push", str(edit), "--repo", "forgetful"]) == 2
    assert "OWNER/NAME" in capsys.readouterr().err
