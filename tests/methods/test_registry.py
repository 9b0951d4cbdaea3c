"""Another method fits in by a class and a line in the registry."""

import sys
from dataclasses import dataclass

import pytest
import torch

from lmms_manu.errors import SettingError
from lmms_manu.methods import registry
from lmms_manu.methods.base import EditRecord, publish, published
from lmms_manu.methods.registry import get_method
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.settings import Settings, setting


@dataclass(frozen=True)
class AscentSettings(Settings):
    step: float = setting(0.01, "Length of the step.", minimum=0)


class Ascent:
    """One step up the gradient of the loss on the text of those to forget: needs gradients and changes all weights."""

    name = "ascent"
    settings = (AscentSettings,)

    def needs_data(self, settings):
        return settings[0].step > 0

    def edit(self, checkpoint, data, settings):
        encoder = PromptEncoder(checkpoint)
        passages = data.passages(encoder)["forget", "text"][:4]
        inputs = encoder.encode([passage.text for passage in passages], [[] for _ in passages])
        checkpoint.model(**inputs, labels=inputs["input_ids"]).loss.backward()
        with torch.no_grad():
            for parameter in checkpoint.model.parameters():
                if parameter.grad is not None:
                    parameter += settings[0].step * parameter.grad.sign()
        return EditRecord(self.name, checkpoint.name, forget_ratio=data.settings.forget_ratio)


@pytest.fixture
def _ascent(monkeypatch):
    monkeypatch.setitem(sys.modules, "ascent_method", sys.modules[__name__])
    monkeypatch.setattr(registry, "METHODS", {**registry.METHODS, "ascent": "ascent_method:Ascent"})


@pytest.mark.usefixtures("_ascent")
def test_a_method_of_another_kind_edits_a_model(arguments):
    inputs = {"input_ids": torch.arange(5, 25).unsqueeze(0)}
    edited, record = plan({**arguments, "method": "ascent", "step": 0.1}).load()
    plain, _ = plan({**arguments, "prune_rate": 0}).load()
    assert (record.method, record.forget_ratio) == ("ascent", 10)
    assert not torch.allclose(edited.model(**inputs).logits, plain.model(**inputs).logits)


@pytest.mark.usefixtures("_ascent")
def test_a_method_takes_its_own_settings_and_no_others():
    with pytest.raises(SettingError, match="there is no argument 'prune_rate'"):
        plan({"method": "ascent", "prune_rate": 2})


def test_an_unknown_method_is_an_error():
    with pytest.raises(SettingError, match="choose one of manu"):
        get_method("menu")


def test_a_published_record_is_known_until_it_is_withdrawn():
    record = EditRecord("manu", "some checkpoint")
    publish(record)
    assert published() is record
    publish(None)
    assert published() is None
