"""MMUnlearner: the masks by hand, and where a model may forget."""

import pytest
import torch
from support.rendered import make_examples

from lmms_manu.editing.changes import ChangedTensors
from lmms_manu.errors import SettingError
from lmms_manu.measuring.parts import PARTS
from lmms_manu.methods.mmunlearner.config import MMUnlearnerSettings
from lmms_manu.methods.mmunlearner.saliency import saliency_masks
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.training.answers import Asker
from lmms_manu.training.examples import Examples
from lmms_manu.training.objective import Terms, Weighted
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.terms import Ascent, CrossEntropy
from lmms_manu.training.train import TrainingTask, train

UP = "model.language_model.layers.1.mlp.up_proj.weight"
FC1 = "model.vision_tower.encoder.layers.0.mlp.fc1.weight"


@pytest.fixture
def checkpoint(llava_folder):
    return load_checkpoint(ModelSettings(pretrained=str(llava_folder), device="cpu"))


def squares(checkpoint, part, passages, name):
    """The mean over batches of two of the squared gradients."""
    own = Examples(checkpoint, PromptEncoder(checkpoint), {part.modality: passages}, "answer", "set")
    asker, found = Asker(checkpoint.model, checkpoint.device), []
    for start in range(0, len(own), 2):
        answers = asker(own.batch(part.modality, range(start, min(start + 2, len(own)))))
        loss = (-answers.log_probs / answers.lengths).mean()
        found.append(torch.autograd.grad(loss, checkpoint.model.get_parameter(name))[0].square())
    return found


def test_masks_compare_squared_gradients_and_keep_texts_of_everybody(checkpoint):
    parts = {part: make_examples(part.set, part.modality, 3) for part in PARTS}
    settings = MMUnlearnerSettings(train_batch_size=2, saliency=0.8)
    masks = saliency_masks(checkpoint, parts, settings)
    assert all(parameter.requires_grad for parameter in checkpoint.model.parameters())
    forget, text, retain, retain_text = PARTS
    assert (forget.modality, text.modality) == ("multimodal", "text")
    for name, kept in ((UP, (text, retain, retain_text)), (FC1, (retain,))):
        own = torch.stack(squares(checkpoint, forget, parts[forget], name)).mean(0)
        others = [each for part in kept for each in squares(checkpoint, part, parts[part], name)]
        wanted = own >= 0.8 * torch.stack(others).mean(0)
        assert float((masks[name] == wanted).float().mean()) > 0.999
        assert 0.02 < float(masks[name].float().mean()) < 0.98


def after(change):
    assert isinstance(change, ChangedTensors)
    return change.tensors[UP]


def test_what_is_masked_learns_from_the_others_alone(checkpoint):
    learn, retain = ({"text": make_examples(group, "text", 4)} for group in ("forget", "retain"))
    settings = TrainingSettings(
        tuning="full", modalities="text", train_steps=1, learning_rate=0.01, schedule="constant", max_grad_norm=0
    )
    objective = Terms(Weighted(Ascent()), Weighted(CrossEntropy()))
    mask = torch.zeros_like(checkpoint.model.get_parameter(UP), dtype=torch.bool)
    mask[:7] = True
    masked, both, descent = (
        after(train(checkpoint, task, settings).change)
        for task in (
            TrainingTask(learn, objective, "test", retain, masks={UP: mask}),
            TrainingTask(learn, objective, "test", retain),
            TrainingTask(retain, Terms(Weighted(CrossEntropy())), "test"),
        )
    )
    # Adam's first step is the gradient's sign, which rounding decides where a gradient is next to nothing.
    alike = [
        float(((masked - other).abs() < 1e-4)[rows].float().mean())
        for other, rows in ((both, mask), (descent, ~mask), (both, ~mask))
    ]
    assert min(alike[:2]) > 0.99
    assert alike[2] < 0.9


def test_the_goal_stands_wherever_its_numbers_do(arguments):
    given = {**arguments, "method": "mmunlearner", "max_samples": 4, "learning_rate": 1e-3}
    _, record = plan(given).load()
    assert record.label == "mmunlearner (forget faces, keep text) paper epochs 1 learning rate 0.001"
    assert "are to stay high" in record.description
    assert record.change == "tensors"
    assert record.counts["vision"][0] > 0


def test_wrong_settings_are_refused(arguments):
    for wrong, named in (
        ({"tuning": "lora"}, "tuning='lora' is not allowed"),
        ({"modalities": "text"}, "modalities='text' is not allowed"),
        ({"lora_rank": 4}, "would have no effect with tuning=full"),
        ({"saliency": -1}, "saliency"),
    ):
        with pytest.raises(SettingError, match=named):
            plan({**arguments, "method": "mmunlearner", **wrong})
