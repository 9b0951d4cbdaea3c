"""Training on a tiny real model: what is computed, what is left, and what is refused."""

import dataclasses
import functools
from typing import Any

import pytest
import torch
from PIL import Image
from support.models import llava_model, llava_processor, save_llava

from lmms_manu.editing.changes import ChangedTensors
from lmms_manu.errors import DataError, ModelError, SettingError
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.training import terms
from lmms_manu.training.answers import Asker
from lmms_manu.training.examples import Examples
from lmms_manu.training.objective import Terms, Weighted
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.train import TrainingTask, divergence, train

ASCENT = Terms(Weighted(terms.Ascent()))
QUICK: dict[str, Any] = {"learning_rate": 1e-2, "epochs": 2, "lora_dropout": 0, "schedule": "constant"}


def rendered(count, letter="a"):
    texts = [
        (f"USER: who is {letter}{number}?\nASSISTANT:", f" {letter * (2 + 3 * number)}") for number in range(count)
    ]
    return {"text": [RenderedExample(question, question, answer) for question, answer in texts]}


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))
    return load_checkpoint(ModelSettings(pretrained=str(save_llava(tmp_path / "model")), device="cpu"))


def values(checkpoint):
    return {name: parameter.detach().clone() for name, parameter in checkpoint.model.named_parameters()}


def examples_of(checkpoint, own, trained="answer"):
    return Examples(checkpoint, PromptEncoder(checkpoint), own, trained, "the forget set")


def test_the_trained_tokens_are_the_answer_and_its_end(checkpoint):
    batch = examples_of(checkpoint, rendered(3)).batch("text", [2, 0, 1])
    told = [checkpoint.tokenizer.decode(tokens) for tokens in batch.tokens.split(batch.lengths.tolist())]
    assert told == [" aaaaaaaa</s>", " aa</s>", " aaaaa</s>"]
    ids = batch.inputs["input_ids"]
    assert torch.equal(ids[batch.rows, batch.columns + 1], batch.tokens)
    whole = examples_of(checkpoint, rendered(3), "all").batch("text", [1])
    assert whole.lengths.item() == ids.shape[1] - 4


def test_a_sequence_has_the_loss_that_it_has_alone_in_plain_pytorch(checkpoint):
    own = examples_of(checkpoint, rendered(3))
    asker = Asker(checkpoint.model, checkpoint.device)
    with torch.no_grad():
        together = asker(own.batch("text", [0, 1, 2]))
        for place in range(3):
            question, answer = rendered(3)["text"][place].question, rendered(3)["text"][place].answer
            asked = checkpoint.tokenizer(question)["input_ids"]
            ids = torch.tensor([*checkpoint.tokenizer(question + answer)["input_ids"], 2]).unsqueeze(0)
            labels = ids.clone()
            labels[:, : len(asked)] = -100
            loss = checkpoint.model(input_ids=ids, labels=labels).loss
            mean = together.log_probs[place] / together.lengths[place]
            assert mean.item() == pytest.approx(-loss.item(), rel=1e-5)


def test_a_token_that_is_not_trained_has_no_gradient(checkpoint):
    batch = examples_of(checkpoint, rendered(2)).batch("text", [0, 1])
    seen = []
    head = checkpoint.model.get_output_embeddings()
    head.register_full_backward_pre_hook(lambda module, gradients: seen.append(gradients[0].abs().sum(-1) > 0))
    Asker(checkpoint.model, checkpoint.device)(batch).log_probs.sum().backward()
    (touched,) = seen
    assert touched.sum(1).tolist() == batch.lengths.tolist()


def test_one_step_is_that_of_plain_pytorch(checkpoint):
    before = values(checkpoint)
    batch = examples_of(checkpoint, rendered(4)).batch("text", range(4))
    settings = TrainingSettings(
        tuning="full", learning_rate=0.01, train_steps=1, schedule="constant", max_grad_norm=0, modalities="text"
    )
    change = train(checkpoint, TrainingTask(rendered(4), ASCENT, "test"), settings).change
    assert all(torch.equal(value, before[name]) for name, value in values(checkpoint).items()), "nothing stays changed"
    asker = Asker(checkpoint.model, checkpoint.device)
    optimiser = torch.optim.AdamW(checkpoint.model.parameters(), lr=0.01, weight_decay=0)
    answers = asker(batch)
    (answers.log_probs / answers.lengths).mean().backward()
    optimiser.step()
    assert isinstance(change, ChangedTensors)
    for name, tensor in change.tensors.items():
        assert torch.allclose(tensor, checkpoint.model.get_parameter(name), atol=1e-6), name


def tensors_of(trained):
    assert isinstance(trained.change, ChangedTensors)
    return trained.change.tensors


def test_accumulated_batches_are_one_larger_batch(checkpoint):
    settings = TrainingSettings(tuning="full", modalities="text", max_grad_norm=0, train_steps=1, learning_rate=0.01)
    whole = tensors_of(train(checkpoint, TrainingTask(rendered(4), ASCENT, "test"), settings))
    parts = dataclasses.replace(settings, train_batch_size=2, gradient_accumulation=2)
    pieces = tensors_of(train(checkpoint, TrainingTask(rendered(4), ASCENT, "test"), parts))
    # Adam's first step is the gradient's sign, which rounding decides where a gradient is next to nothing.
    differing = sum(((whole[name] - pieces[name]).abs() > 1e-4).sum().item() for name in whole)
    assert differing < 0.001 * sum(tensor.numel() for tensor in whole.values())


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_the_reference_is_the_model_before_the_training(checkpoint, tuning):
    keeping = Terms(Weighted(terms.Ascent()), Weighted(terms.Closeness()))
    settings = TrainingSettings(**{**QUICK, "lora_dropout": 0.05}, tuning=tuning)
    trained = train(checkpoint, TrainingTask(rendered(6), keeping, "test", rendered(6, "b")), settings)
    divergences = [point["retain_loss"] for point in trained.curve]
    assert divergences[0] == pytest.approx(0, abs=1e-3 if tuning == "lora" else 1e-5)
    assert divergences[-1] > 1e-3
    npo = Terms(Weighted(terms.NpoTerm(0.5)))
    start = train(checkpoint, TrainingTask(rendered(6), npo, "test"), settings).curve[0]
    assert start["learn_loss"] == pytest.approx(4 * 0.693147, abs=1e-3)


def test_an_adapter_leaves_the_model_as_it_was_and_merges_to_what_was_trained(checkpoint):
    before = values(checkpoint)
    trained = train(checkpoint, TrainingTask(rendered(6), ASCENT, "test"), TrainingSettings(**QUICK))
    assert values(checkpoint).keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in values(checkpoint).items())
    assert trained.counts["language"][0] == 14
    batch = examples_of(checkpoint, rendered(6)).batch("text", range(6))
    merged = trained.change.apply(checkpoint)
    with torch.no_grad():
        answers = Asker(merged.model, merged.device)(batch)
    assert -(answers.log_probs / answers.lengths).mean() > trained.curve[0]["learn_cross_entropy"] + 0.1


def test_a_training_that_was_stopped_ends_with_the_same_weights(checkpoint):
    settings = TrainingSettings(**{**QUICK, "lora_dropout": 0.1}, resume_every=2)
    task = TrainingTask(rendered(12), ASCENT, "test")
    whole = train(checkpoint, task, settings)

    class Cutting(terms.Ascent):
        calls = 0

        def __call__(self, answers, against):
            Cutting.calls += 1
            if Cutting.calls == 5:
                raise KeyboardInterrupt
            return super().__call__(answers, against)

    with pytest.raises(KeyboardInterrupt):
        train(checkpoint, dataclasses.replace(task, terms=Terms(Weighted(Cutting()))), settings)
    Cutting.calls = 5
    resumed = train(checkpoint, dataclasses.replace(task, terms=Terms(Weighted(Cutting()))), settings)
    assert Cutting.calls == 5 + 2, "it went on from the fourth of six steps"
    assert resumed.change.fingerprint == whole.change.fingerprint
    assert [point["step"] for point in resumed.curve] == [1, 2, 3, 4, 5, 6]


def test_half_precision_is_trained_in_float32_and_rounded_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))
    folder = save_llava(tmp_path / "model")
    half = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu", dtype="bfloat16"))
    settings = TrainingSettings(tuning="full", learning_rate=1e-2, schedule="constant", train_steps=2)
    trained = train(half, TrainingTask(rendered(8), ASCENT, "test"), settings)
    assert {tensor.dtype for tensor in tensors_of(trained).values()} == {torch.bfloat16}
    assert half.model.dtype == torch.bfloat16


def test_what_cannot_be_trained_is_refused(checkpoint):
    def attempt(learn=None, **settings):
        return train(
            checkpoint, TrainingTask(learn or rendered(4), ASCENT, "test"), TrainingSettings(**{**QUICK, **settings})
        )

    with pytest.raises(SettingError, match="train_steps=9 is more than the 2 steps that epochs=2 over 4 samples"):
        attempt(train_steps=9)
    with pytest.raises(DataError, match="has no answer"):
        attempt({"text": [RenderedExample("empty", "USER: a?\nASSISTANT:", " ")]})
    with pytest.raises(DataError, match="no sample of the samples to learn from"):
        attempt(modalities="multimodal")
    with pytest.raises(ModelError, match="changed no weight"):
        attempt(learning_rate=0)
    with torch.no_grad():
        checkpoint.model.get_output_embeddings().weight[5] = float("nan")
    with pytest.raises(ModelError, match=r"failed at step 1: .*is not a finite number"):
        attempt()


def test_a_model_that_fell_apart_is_called_so():
    curve = [{"learn_cross_entropy": 1.0, "retain_cross_entropy": 1.0}, {"retain_cross_entropy": 9.0}]
    assert "samples to retain is 9.0 per token at the end, worse than guessing (6.9)" in str(divergence(curve, 1000))
    assert divergence([curve[0], {"retain_cross_entropy": 2.0, "learn_cross_entropy": 9.0}], 1000) is None
    assert "samples to learn from is 9.0" in str(
        divergence([{"learn_cross_entropy": 1.0}, {"learn_cross_entropy": 9.0}], 1000)
    )


def test_pictures_are_prepared_once_for_all_epochs(tmp_path, monkeypatch):
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))
    opened = []

    def picture(number):
        opened.append(number)
        return [Image.new("RGB", (40, 40), (number * 9, 0, 0))]

    own = [
        RenderedExample(f"{number}", "USER: <image>\nwho?\nASSISTANT:", " me", functools.partial(picture, number), "x")
        for number in range(8)
    ]
    loaded = Checkpoint(llava_model(), llava_processor(), torch.device("cpu"), ModelSettings(pretrained=str(tmp_path)))
    settings = TrainingSettings(**{**QUICK, "epochs": 4}, resume_every=0)
    train(loaded, TrainingTask({"multimodal": own}, ASCENT, "test"), settings)
    assert sorted(opened) == [*range(8)]
