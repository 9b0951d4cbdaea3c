"""The Python of the README, of its page and of the notebook runs as it stands, on the embedded model."""

import json
import re
import shutil

import pytest
from support.documented import ROOT

import lmms_manu as manu
from lmms_manu.benchmarks.own.example_data import write_example


@pytest.fixture
def here(world, monkeypatch, tmp_path):
    monkeypatch.chdir(world)
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path))
    monkeypatch.delenv("LMMS_MANU_DATASET", raising=False)
    shutil.rmtree("edited", ignore_errors=True)
    yield world
    shutil.rmtree("edited", ignore_errors=True)


def blocks(document):
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)


def test_the_page_and_the_readme_do_what_they_say(here, capsys):
    names: dict = {}
    for block in blocks("docs/python.md"):
        exec(block, names)
    label, answers = capsys.readouterr().out.splitlines()[-2:]
    assert label == "manu ratio 1 %"
    assert len(eval(answers)) == 1
    assert manu.EditRecord.of_checkpoint("edited").label == "manu paper 2 %"
    shutil.rmtree("edited")
    exec(blocks("README.md")[0], names)
    assert names["record"] == manu.EditRecord.of_checkpoint("edited")
    assert names["record"].forgotten == {"benchmark": "mllmu", "forget_ratio": 5}


def test_the_page_of_own_people_unlearns_those_of_the_example(here, capsys):
    if not (here / "example").exists():
        write_example(here / "example")
    exec(blocks("docs/own-data.md")[0], {})
    forgotten, answers = capsys.readouterr().out.splitlines()[-2:]
    assert eval(forgotten) == {"benchmark": "own", "forget": "example/people.csv"}
    assert len(eval(answers)) == 1
    assert manu.EditRecord.of_checkpoint("edited").forgotten == eval(forgotten)


def test_the_notebook_runs_from_above_to_below(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))
    notebook = json.loads((ROOT / "examples" / "unlearning.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    names: dict = {}
    for cell in cells:
        exec("".join(cell["source"]), names)
    shown = capsys.readouterr().out
    assert "manu paper 10 %" in shown
    assert names["mine"].name == "mine"
    assert names["told"].system_prompt
