"""Losses, their gradients and a step of training on a device."""

from __future__ import annotations

import pytest
import torch
from support.rendered import make_examples

from lmms_manu.editing.changes import ChangedTensors
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.training import terms
from lmms_manu.training.answers import Asker
from lmms_manu.training.examples import Examples
from lmms_manu.training.objective import Terms, Weighted
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.train import TrainingTask, train

SAMPLES = {modality: make_examples("forget", modality, 4) for modality in ("multimodal", "text")}
TERMS = {
    "cross entropy": Terms(Weighted(terms.CrossEntropy())),
    "npo": Terms(Weighted(terms.NpoTerm(0.5))),
    "kl": Terms(Weighted(terms.Ascent()), Weighted(terms.Closeness())),
}


def answers_of(checkpoint, modality):
    batch = Examples(checkpoint, PromptEncoder(checkpoint), SAMPLES, "answer", "samples").batch(modality, range(4))
    return Asker(checkpoint.model, checkpoint.device)(batch)


@pytest.mark.parametrize("modality", SAMPLES)
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-4), ("bfloat16", 0.15)])
def test_losses_and_gradients_are_those_of_exact_arithmetic(load, exact, modality, dtype, bound):
    losses, gradients = [], []
    for checkpoint in (load(dtype), exact):
        answers = answers_of(checkpoint, modality)
        loss = -(answers.log_probs / answers.lengths).mean()
        weight = checkpoint.model.get_parameter("model.language_model.layers.0.mlp.down_proj.weight")
        (gradient,) = torch.autograd.grad(loss, [weight])
        losses.append(float(loss.detach()))
        gradients.append(gradient.double().cpu())
    assert losses[0] == pytest.approx(losses[1], rel=bound)
    assert (gradients[0] - gradients[1]).norm() < bound * gradients[1].norm()


@pytest.mark.parametrize(("minimised", "tuning"), [("cross entropy", "full"), ("npo", "lora"), ("kl", "full")])
def test_a_step_of_training_begins_with_the_loss_and_moves_the_weights_of_exact_arithmetic(load, minimised, tuning):
    """Adam's first step is the gradient's sign, which rounding decides where a gradient is next to nothing."""
    settings = TrainingSettings(
        tuning=tuning, learning_rate=1e-3, train_steps=1, modalities="text", schedule="constant", max_grad_norm=0,
        resume_every=0, **({"lora_dropout": 0.0} if tuning == "lora" else {}),
    )  # fmt: skip
    learn = {"text": SAMPLES["text"]}
    retain = {"text": make_examples("retain", "text", 4)} if minimised == "kl" else {}
    task = TrainingTask(learn, TERMS[minimised], "test", retain)
    own, other = (train(one, task, settings) for one in (load(), load.exact()))
    assert own.curve[0]["loss"] == pytest.approx(other.curve[0]["loss"], rel=1e-4, abs=1e-4)
    assert own.counts == other.counts
    if tuning == "full":
        assert isinstance(own.change, ChangedTensors)
        assert isinstance(other.change, ChangedTensors)
        gaps = [(own.change.tensors[name] - tensor).abs() > 2e-5 for name, tensor in other.change.tensors.items()]
        assert sum(int(gap.sum()) for gap in gaps) < 0.01 * sum(gap.numel() for gap in gaps)
