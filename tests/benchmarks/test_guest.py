"""A benchmark and a method of another package go through all that there is, with no file of this one changed."""

import json

import datasets
import pytest
from support.models import save_llava

from lmms_manu.benchmarks import find_task
from lmms_manu.cli.main import main
from lmms_manu.errors import SettingError
from lmms_manu.methods.data import load_data
from lmms_manu.methods.settings import UnlearningSettings


@pytest.fixture
def here(tmp_path, monkeypatch, towns):
    """A folder with a tiny model, in which the towns are installed."""
    save_llava(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    for name, value in {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    return tmp_path


def test_a_method_and_a_benchmark_go_through_edit_sweep_harness_report_page_leaderboard_and_gate(here, capsys):
    common = "pretrained=./tiny,benchmark=towns,forget_ratio=50,device=cpu"
    swept = ["sweep", "--method", "ascent", "--rounds", "2", "--suite", "towns", "--model-args", common]
    assert main([*swept, "--output", "results"]) == 0, capsys.readouterr().out

    report = json.loads((here / "results" / "report" / "report.json").read_text())
    (section,) = report["sections"]
    assert (section["benchmark"], section["forget_ratio"]) == ("towns", 50)
    vanilla, edited = section["rows"]
    assert [run["label"] for run in report["runs"]] == ["vanilla", "ascent rounds 2"]
    assert report["runs"][1]["edit"]["forgotten"] == {"benchmark": "towns", "forget_ratio": 50}
    assert edited["numbers"]["towns.forget.credit"]["mean"]["value"] >= 50
    assert edited["numbers"]["towns.retain.credit"]["text"]["questions"] == 8
    assert edited["numbers"]["towns.forget.credit"]["mean"]["people"] == 4
    # The tiny model's weights are random: it knows nobody, and no number can tell whether it forgot.
    assert not {"forgetting_rate", "share_forgotten"} & set(edited["derived"])
    assert report["problems"] == []

    page = (here / "results" / "report" / "report.html").read_text()
    assert "Towns, forget 50 %" in page
    assert "data:image/jpeg" in page

    words = [f"--{name}={value}" for name, value in (pair.split("=") for pair in common.split(","))]
    # The sweep has made this edit before, in another process.
    assert main(["edit", "--method", "ascent", "--rounds", "2", *words, "--output", "edited"]) == 0
    assert json.loads((here / "edited" / "edit.json").read_text()) == report["runs"][1]["edit"]
    assert "moved up the loss" in (here / "edited" / "README.md").read_text()
    assert main(["prune", "--prune-rate", "20", *words, "--output", "pruned"]) == 0

    board = here / "board.json"
    results = [f"{name}={here / 'results' / name}" for name in (vanilla["name"], edited["name"])]
    assert main(["report", *results, "--append", str(board), "--rank-by", "towns.forget.credit"]) == 0
    assert {entry["benchmark"] for entry in json.loads(board.read_text())["entries"]} == {"towns"}
    assert "## Towns, forget 50 %" in board.with_suffix(".md").read_text()

    conditions = here / "gate.yaml"
    for limit, code in ((100, 0), (10, 1)):
        conditions.write_text(
            "version: 1\nconditions:\n"
            f"  - {{metric: towns.forget.credit, at_most: {limit}}}\n"
            "  - {metric: towns.retain.credit, benchmark: towns, forget_ratio: 50, at_least: 0}\n"
        )
        assert main(["gate", "--config", str(conditions), *results, "--baseline", vanilla["name"]]) == code


def test_the_examples_of_a_guest_are_what_methods_get(towns):
    data = load_data(UnlearningSettings(benchmark="towns", forget_ratio=50, retain_samples="match"))
    assert {example.subject for example in data.forget["text"]} == {"Oria", "Belt", "Cander", "Duns"}
    assert len(data.retain["multimodal"]) == len(data.forget["multimodal"]) == 8
    assert data.settings.forgotten == {"benchmark": "towns", "forget_ratio": 50}
    assert find_task("towns_retain_text").split == "retain"


def test_a_ratio_that_a_guest_does_not_have_is_refused_naming_those_that_it_has(towns):
    with pytest.raises(SettingError, match="forget_ratio=5 is not allowed: choose one of 50"):
        UnlearningSettings(benchmark="towns")
