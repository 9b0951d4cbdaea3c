"""Another method fits in by a class and an entry, and the frame around it does the rest."""

import dataclasses
import sys

import pytest
import torch
from support.hub_server import hub

from lmms_manu.editing.changes import ChangedTensors
from lmms_manu.errors import DataError, SettingError
from lmms_manu.methods import registry
from lmms_manu.methods.base import Edit, Method
from lmms_manu.methods.evaluated import evaluated, note_evaluated
from lmms_manu.methods.record import EditRecord
from lmms_manu.methods.registry import method_class, method_names
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class AscentSettings(Settings):
    step: float = setting(0.01, "Length of the step.", minimum=0)
    steps: int = setting(1, "How many.", minimum=0)


class Ascent(Method[AscentSettings]):
    """Steps up the gradient of the loss on the text of those to forget: needs gradients and changes all weights."""

    name = "ascent"
    config_class = AscentSettings
    label_fields = ("step",)
    strength = "step"

    made = 0

    def edit(self, checkpoint, examples):
        Ascent.made += 1
        encoder = PromptEncoder(checkpoint)
        examples = examples["forget", "text"][:4]
        inputs = encoder.encode([example.text for example in examples], [[] for _ in examples])
        checkpoint.model(**inputs, labels=inputs["input_ids"]).loss.backward()
        changed = {}
        for name, parameter in checkpoint.model.named_parameters():
            if parameter.grad is not None:
                changed[name] = (parameter + self.config.step * parameter.grad.sign()).detach()
                parameter.grad = None
        return Edit(ChangedTensors(changed) if self.config.steps else None, {"all": (len(changed),) * 2}, "tensors")


@dataclasses.dataclass(frozen=True)
class GreedySettings(Settings):
    batch_size: int = setting(4, "Samples in one step.", minimum=1)


class Greedy(Method[GreedySettings]):
    name = "greedy"
    config_class = GreedySettings


@pytest.fixture(autouse=True)
def _methods(monkeypatch):
    monkeypatch.setitem(sys.modules, "other_methods", sys.modules[__name__])
    others = {"ascent": "other_methods:Ascent", "greedy": "other_methods:Greedy"}
    monkeypatch.setattr(registry, "METHODS", {**registry.METHODS, **others})
    method_class.cache_clear()
    yield
    method_class.cache_clear()


@pytest.fixture
def ascent(arguments):
    return {**arguments, "method": "ascent", "step": 0.1, "retain_samples": "match"}


def logits(checkpoint):
    with torch.inference_mode():
        return checkpoint.model(input_ids=torch.arange(5, 25).unsqueeze(0)).logits


def test_a_method_of_another_kind_edits_a_model(ascent, arguments):
    edited, record = plan(ascent).load()
    plain, unedited = plan({**arguments, "method": "none"}).load()
    assert (record.method, record.change, record.label) == ("ascent", "tensors", "ascent step 0.1")
    assert record.forgotten == {"benchmark": "mllmu", "forget_ratio": 10}
    assert record.samples["forget/text"] == record.samples["forget/multimodal"] > 0
    assert not torch.allclose(logits(edited), logits(plain))
    assert (unedited.method, unedited.edited, unedited.label) == ("none", False, "none")


def test_the_same_edit_is_made_once_and_found_again(ascent):
    made = Ascent.made
    first, record = plan(ascent).load()
    again, found = plan({**ascent, "edit_cache": True}).load()
    assert Ascent.made == made + 1
    assert torch.equal(logits(first), logits(again))
    assert found == record
    plan({**ascent, "step": 0.2}).load()
    plan({**ascent, "max_samples": 3}).load()
    plan({**ascent, "edit_cache": False}).load()
    assert Ascent.made == made + 4


def test_an_edit_that_was_saved_is_applied_again_without_data(ascent, arguments, tmp_path, monkeypatch):
    first, record = plan({**ascent, "save_edit": str(tmp_path / "kept")}).load()
    monkeypatch.setenv("LMMS_MANU_DATASET", str(tmp_path / "nowhere"))
    model = {name: arguments[name] for name in ("pretrained", "device")}
    again, found = plan({**model, "edit": str(tmp_path / "kept")}).load()
    assert torch.equal(logits(first), logits(again))
    assert (found.method, found.label, found.fingerprint) == ("ascent", record.label, record.fingerprint)
    assert found.forgotten == record.forgotten


def test_an_edit_on_the_hub_is_fetched_and_applied(ascent, arguments, tmp_path):
    first, record = plan({**ascent, "save_edit": str(tmp_path / "kept")}).load()
    (tmp_path / "kept" / "notes.txt").write_text("not needed")
    model = {name: arguments[name] for name in ("pretrained", "device")}
    with hub("somebody/forgetful", tmp_path / "kept", tmp_path / "hub"):
        again, found = plan({**model, "edit": "somebody/forgetful"}).load()
        with pytest.raises(DataError, match="edit='somebody/else' holds no edit"):
            plan({**model, "edit": "somebody/else"}).load()
    assert torch.equal(logits(first), logits(again))
    assert found.fingerprint == record.fingerprint
    assert not list((tmp_path / "hub").rglob("notes.txt")), "only the files of an edit are fetched"


def test_settings_of_a_method_beside_a_finished_edit_are_refused(arguments, tmp_path):
    with pytest.raises(SettingError, match="prune_rate would have no effect beside edit="):
        plan({**arguments, "edit": str(tmp_path), "prune_rate": 2})


def test_a_method_that_did_nothing_says_so(ascent):
    _, record = plan({**ascent, "steps": 0}).load()
    assert (record.edited, record.fingerprint, record.method) == (False, None, "ascent")
    assert "changed nothing" in record.summary()


def test_a_method_takes_its_own_settings_and_no_others():
    with pytest.raises(SettingError, match="there is no argument 'prune_rate'"):
        plan({"method": "ascent", "prune_rate": 2})


def test_a_method_whose_argument_is_taken_is_refused():
    with pytest.raises(ValueError, match="'greedy' declares batch_size, which AnsweringSettings declares already"):
        method_class("greedy")


def test_no_method_takes_an_argument_of_others():
    for name in set(method_names()) - {"greedy"}:
        assert method_class(name).name == name


def test_an_unknown_method_is_an_error():
    with pytest.raises(SettingError, match="choose one of none, manu"):
        method_class("menu")


def test_a_published_record_is_known_until_it_is_withdrawn():
    record = EditRecord("manu", "some checkpoint")
    note_evaluated(record)
    assert evaluated() is record
    note_evaluated(None)
    assert evaluated() is None


def test_records_of_the_first_version_are_read():
    first = {"method": "manu", "checkpoint": "c", "recipe": "paper", "prune_rate": 2.0, "forget_ratio": 5}
    record = EditRecord.from_dict({**first, "mask": "ab" * 32, "pruned": {"language": [2, 100]}, "settings": {"a": 1}})
    assert (record.label, record.change, record.fingerprint) == ("manu paper 2 %", "mask", "ab" * 32)
    assert record.counts == {"language": (2, 100)}
    assert record.forgotten == {"benchmark": "mllmu", "forget_ratio": 5}
    assert EditRecord.from_dict(record.as_dict()) == record
    vanilla = EditRecord.from_dict({"method": "manu", "checkpoint": "c", "prune_rate": 0.0, "mask": None, "pruned": {}})
    assert (vanilla.method, vanilla.edited) == ("none", False)
