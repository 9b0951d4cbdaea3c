"""A rescaling of weights that leaves the model's function alone should leave the choice of neurons alone."""

import pytest
import torch
from support.models import llava_model, llava_processor

from lmms_manu.methods.unlearn import plan
from lmms_manu.models.blocks import find_mlp_blocks

FACTOR = 100.0


@pytest.fixture
def rescaled_folder(tmp_path):
    """The tiny model with every second language neuron's up projection x 100 and down projection / 100."""
    model = llava_model()
    with torch.no_grad():
        for block in find_mlp_blocks(model):
            if block.tower == "language":
                model.get_parameter(f"{block.name}.up_proj.weight")[::2] *= FACTOR
                model.get_parameter(f"{block.name}.down_proj.weight")[:, ::2] /= FACTOR
    model.save_pretrained(tmp_path / "rescaled")
    llava_processor().save_pretrained(tmp_path / "rescaled")
    return tmp_path / "rescaled"


def fingerprints(arguments, rescaled_folder, recipe):
    settings = {**arguments, "recipe": recipe, "prune_rate": 10}
    plain = plan(settings).load()[1]
    rescaled = plan({**settings, "pretrained": str(rescaled_folder)}).load()[1]
    return plain.fingerprint, rescaled.fingerprint


def test_the_rescaled_model_computes_the_same(arguments, rescaled_folder):
    inputs = {"input_ids": torch.arange(5, 25).unsqueeze(0)}
    models = [
        plan({**arguments, "pretrained": str(folder), "prune_rate": 0}).load()[0].model
        for folder in (arguments["pretrained"], rescaled_folder)
    ]
    torch.testing.assert_close(*(model(**inputs).logits for model in models), rtol=1e-3, atol=1e-3)


def test_the_invariant_recipe_prunes_the_same_neurons(arguments, rescaled_folder):
    plain, rescaled = fingerprints(arguments, rescaled_folder, "invariant")
    assert plain == rescaled


def test_the_paper_recipe_prunes_others(arguments, rescaled_folder):
    plain, rescaled = fingerprints(arguments, rescaled_folder, "paper")
    assert plain != rescaled
