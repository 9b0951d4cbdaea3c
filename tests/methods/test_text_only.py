"""Checkpoints of text alone are measured and pruned by the recipes that need no pictures."""

import pytest
from support.text_models import TEXT_FAMILIES, save_text_model

from lmms_manu.errors import SettingError
from lmms_manu.methods.unlearn import plan


@pytest.mark.parametrize("family", TEXT_FAMILIES)
def test_recipes_that_need_no_pictures_measure_and_prune_a_text_only_model(family, tmp_path):
    told = {"pretrained": str(save_text_model(family, tmp_path)), "device": "cpu", "forget_ratio": 10, "prune_rate": 10}
    fingerprints = set()
    for recipe in ("ratio", "released", "random"):
        _, record = plan({**told, "recipe": recipe}).load()
        assert record.counts == {"language": (9, 96)}
        fingerprints.add(record.fingerprint)
        if recipe != "random":
            assert set(record.samples) == {"forget/text", "retain/text"}
    assert len(fingerprints) == 3


def test_a_recipe_that_compares_modalities_is_refused_before_a_text_only_model_is_loaded(tmp_path):
    folder = save_text_model("llama", tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(SettingError, match="recipe=paper compares what neurons do with pictures and as text"):
        plan({"pretrained": str(folder), "device": "cpu", "forget_ratio": 10, "recipe": "paper"})
