"""Prompting: a system prompt in front of every conversation, in the harness and in records; no weight is changed."""

from __future__ import annotations

import pytest
from lmms_eval import evaluator
from lmms_eval.tasks import TaskManager

from lmms_manu.cli.main import main
from lmms_manu.errors import SettingError
from lmms_manu.methods.prompting.config import PAPER_PROMPT
from lmms_manu.methods.unlearn import plan
from lmms_manu.plugins.manu_pruned import ManuPruned

TOLD = "Say nothing about anybody."


def prompts(model, task, monkeypatch):
    """The texts of the prompts that a task puts to a model."""
    texts: list[str] = []
    answer = model._engine.answer

    def listen(requests, total, kept):
        asked = list(requests)
        texts.extend(request.text for request in asked)
        return answer(iter(asked), total, kept)

    monkeypatch.setattr(model._engine, "answer", listen)
    results = evaluator.simple_evaluate(
        model=model, tasks=[task], limit=2, bootstrap_iters=0, task_manager=TaskManager("ERROR")
    )
    return texts, results


@pytest.mark.parametrize("prompt", ["released", "chat"])
def test_every_prompt_begins_with_the_system_prompt_and_no_weight_is_changed(here, monkeypatch, prompt):
    task = "mllmu_forget_cloze_text"
    plain = ManuPruned(pretrained="./tiny", device="cpu", method="none", prompt=prompt)
    prompting = ManuPruned(pretrained="./tiny", device="cpu", method="prompting", system_prompt=TOLD, prompt=prompt)
    before, _ = prompts(plain, task, monkeypatch)
    after, results = prompts(prompting, task, monkeypatch)
    assert len(before) == len(after) == 2
    assert not any(TOLD in text for text in before)
    if prompt == "released":
        assert after == [f"{TOLD} {text}" for text in before]
    assert all(text.count(TOLD) == 1 and text.index(TOLD) < text.index("USER") for text in after)
    edit = results["configs"][task]["metadata"]["run"]["edit"]
    assert (edit["method"], edit["change"], edit["counts"]) == ("prompting", "system_prompt", {})
    weights = zip(plain._checkpoint.model.parameters(), prompting._checkpoint.model.parameters(), strict=True)
    assert all(one.equal(other) for one, other in weights)


def test_the_papers_prompt_is_the_default_and_names_itself(here):
    request = plan({"pretrained": "./tiny", "device": "cpu", "method": "prompting"})
    checkpoint, record = request.load()
    assert checkpoint.system_prompt == PAPER_PROMPT
    assert record.label == "prompting"
    assert record.edited
    assert "hides knowledge and removes none" in record.description


def test_there_is_no_edited_checkpoint_to_write_but_an_edit_to_keep(here, tmp_path, capsys):
    words = ["--pretrained", "./tiny", "--device", "cpu"]
    assert main(["edit", "--method", "prompting", *words, "--output", str(tmp_path / "out")]) == 2
    assert "changes no weight" in capsys.readouterr().err
    kept = tmp_path / "kept"
    plan({"pretrained": "./tiny", "device": "cpu", "method": "prompting", "save_edit": str(kept)}).load()
    checkpoint, record = plan({"pretrained": "./tiny", "device": "cpu", "edit": str(kept)}).load()
    assert (checkpoint.system_prompt, record.method) == (PAPER_PROMPT, "prompting")


def test_an_empty_prompt_is_refused(here):
    with pytest.raises(SettingError, match="says nothing"):
        plan({"pretrained": "./tiny", "method": "prompting", "system_prompt": " "})
