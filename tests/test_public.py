"""What `import lmms_manu as manu` offers: light to import, whole for type checkers, and the same edits as elsewhere."""

import ast
import doctest
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

import lmms_manu as manu
from lmms_manu.embedded import model_folder
from lmms_manu.errors import DataError, ModelError, SettingError
from lmms_manu.measuring import weights_fingerprint
from lmms_manu.methods.finished import FinishedEdits

ROOT = Path(__file__).parents[1]
FACES = ("answering", "benchmarks", "editing", "measuring", "methods", "models")
DOCUMENTED = ("benchmarks.example", "methods.base", "methods.data", "methods.record", "models.wrapping", "public")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))


def held(change: float = 0.0):
    """A model in memory, the embedded one unless it is changed."""
    model = AutoModelForImageTextToText.from_pretrained(model_folder())
    with torch.no_grad():
        model.get_output_embeddings().weight.add_(change)
    return manu.wrap(model, AutoProcessor.from_pretrained(model_folder()), name="held")


def own_people():
    forget = [manu.Example("anna", "Where does Anna live?", "In Oslo.")]
    retain = [manu.Example("bert", "Where does Bert live?", "In Rome.")]
    return manu.UnlearningData(forget=forget, retain=retain)


def test_names_are_listed_and_methods_configured_without_importing_torch():
    code = (
        "import sys, lmms_manu as manu\n"
        "manu.__all__, manu.Manu(prune_rate=2)\n"
        f"for face in {FACES!r}: __import__('lmms_manu.' + face)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_type_checkers_see_the_names_that_there_are():
    tree = ast.parse((ROOT / "lmms_manu" / "__init__.pyi").read_text(encoding="utf-8"))
    imported = {name.asname for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names}
    (listed,) = [ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)]
    assert imported == set(listed) == set(manu.__all__)


@pytest.mark.parametrize("face", FACES)
def test_every_name_of_a_face_is_there(face):
    package = importlib.import_module(f"lmms_manu.{face}")
    assert all(hasattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        package.Nothing  # noqa: B018


@pytest.mark.parametrize("module", DOCUMENTED)
def test_the_examples_of_docstrings_run(module):
    failed, tried = doctest.testmod(importlib.import_module(f"lmms_manu.{module}"))
    assert tried
    assert not failed


def test_weights_in_memory_count_and_not_the_files_that_they_came_from():
    same, again, other = held(), held(), held(change=0.01)
    assert weights_fingerprint(same) == weights_fingerprint(again)
    assert weights_fingerprint(same) != weights_fingerprint(other)
    assert weights_fingerprint(same) != weights_fingerprint(manu.load(model_folder()))


def test_a_held_model_gets_the_edit_of_the_loaded_one_and_finds_its_own_again(tmp_path):
    method = manu.Manu(recipe="ratio", prune_rate=5)
    _, loaded = manu.unlearn(manu.load(model_folder()), own_people(), method, edit_cache=False)
    assert not FinishedEdits.default().entries()
    model, first = manu.unlearn(held(), own_people(), method)
    assert first.fingerprint == loaded.fingerprint
    assert (first.checkpoint, first.forgotten) == ("held", {})
    assert first.samples == {"forget/text": 1, "retain/text": 1}
    again, second = manu.unlearn(held(), own_people(), method)
    assert json.dumps(second.as_dict()) == json.dumps(first.as_dict())
    assert len(FinishedEdits.default().entries()) == 1
    for mine, kept in zip(model.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(mine, kept)
    manu.unlearn(held(change=0.01), own_people(), method)
    assert len(FinishedEdits.default().entries()) == 2
    manu.save(again, second, tmp_path / "edited")
    written = {path.name for path in (tmp_path / "edited").iterdir()}
    assert {"README.md", "model.safetensors", "edit"} <= written
    assert "mllmu" not in (tmp_path / "edited" / "README.md").read_text().partition("Settings (")[0]
    questions = ["Where does Anna live?", "Who is this?"]
    saved = manu.load(tmp_path / "edited")
    assert manu.answer(saved, questions, max_new_tokens=8) == manu.answer(model, questions, max_new_tokens=8)


def test_the_processor_of_a_held_model_stays_as_it_is():
    processor = AutoProcessor.from_pretrained(model_folder())
    processor.tokenizer.padding_side = "right"
    model = AutoModelForImageTextToText.from_pretrained(model_folder()).train()
    checkpoint = manu.wrap(model, processor)
    assert checkpoint.model is model
    assert not model.training
    assert (processor.tokenizer.padding_side, checkpoint.tokenizer.padding_side) == ("right", "left")


def test_what_cannot_work_is_said():
    model = held()
    with pytest.raises(SettingError, match=r"there is no argument 'prune_rat'.*prune_rate"):
        manu.Manu(prune_rat=2)
    with pytest.raises(SettingError, match="data=None names nobody"):
        manu.unlearn(model, None, manu.Manu())
    with pytest.raises(SettingError, match="no multimodal samples for this model: choose"):
        manu.unlearn(model, own_people(), manu.Manu(recipe="paper"))
    with pytest.raises(DataError, match="nobody to forget"):
        manu.UnlearningData(forget=[])
    with pytest.raises(DataError, match=r"image='absent.png' of anna.*no such file"):
        manu.Example("anna", "Who is this?", "Anna.", image="absent.png")
    with pytest.raises(SettingError, match="1 pictures for 2 questions"):
        manu.answer(model, ["Who?", "Where?"], images=[None])
    with pytest.raises(ModelError, match="A Linear is no model of transformers"):
        manu.wrap(torch.nn.Linear(1, 1), model.processor)  # type: ignore[arg-type]


def test_a_prompt_is_told_and_not_saved(tmp_path):
    model, record = manu.unlearn(held(), None, manu.Prompting(system_prompt="Say nothing."))
    assert model.system_prompt == "Say nothing."
    assert record.change == "system_prompt"
    with pytest.raises(SettingError, match="changes no weight"):
        manu.save(model, record, tmp_path / "edited")
