"""Checkpoints of text alone are loaded, pruned and asked like those that see pictures."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.models import llava_processor
from support.text_models import TEXT_FAMILIES, save_text_model

from lmms_manu.answering.engine import AnsweringEngine
from lmms_manu.answering.generation import Generation
from lmms_manu.answering.likelihood import LikelihoodScorer
from lmms_manu.answering.requests import ContinuationRequest, PromptRequest
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.benchmarks.stand_ins import picture
from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.zero import verify_zeros, zero_neurons
from lmms_manu.errors import ModelError
from lmms_manu.measuring.fingerprints import processor_fingerprint, weights_fingerprint
from lmms_manu.models.blocks import find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings

TURNS = [{"role": "user", "content": [{"type": "text", "text": "Who is Ann?"}, {"type": "text", "text": "Tell me."}]}]


@pytest.fixture(scope="module", params=TEXT_FAMILIES)
def checkpoint(request, tmp_path_factory) -> Checkpoint:
    folder = save_text_model(request.param, tmp_path_factory.mktemp(request.param))
    return load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))


def test_a_text_only_checkpoint_is_loaded_with_its_tokenizer(checkpoint):
    assert not checkpoint.takes_pictures
    assert checkpoint.tokenizer is checkpoint.processor
    assert (checkpoint.tokenizer.padding_side, checkpoint.context_length) == ("left", 1024)
    assert checkpoint.accepts("logits_to_keep")
    assert not checkpoint.accepts("pixel_values")


def test_its_neurons_are_those_of_the_language_tower(checkpoint):
    blocks = find_mlp_blocks(checkpoint.model)
    assert [(block.tower, block.layer, block.neurons) for block in blocks] == [("language", 0, 48), ("language", 1, 48)]


def test_prompts_are_encoded_as_its_tokenizer_does(checkpoint):
    encoder = PromptEncoder(checkpoint)
    texts = ["USER: Who is Ann?\nASSISTANT:", "a <image> that is no picture", "b"]
    encoded = encoder.encode(texts, [[], [], []])
    assert encoded.keys() == {"input_ids", "attention_mask"}
    wanted = checkpoint.tokenizer(texts, padding=True, return_tensors="pt")
    assert all(torch.equal(encoded[name], wanted[name]) for name in encoded)
    assert all(prompt.separable for prompt in encoder.tokenize(texts, [[], [], []]))


def test_a_picture_is_refused(checkpoint):
    encoder = PromptEncoder(checkpoint)
    with pytest.raises(ModelError, match="A picture is to be shown to a text-only model: 'Who is this"):
        encoder.encode(["Who is this?"], [[picture(1)]])
    for write in (lambda: encoder.released_text("<image>\nWho?"), lambda: encoder.chat_text([_with_picture()])):
        with pytest.raises(ModelError, match="A picture is to be shown to a text-only model"):
            write()


def _with_picture() -> dict:
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Who?"}]}


def test_a_chat_template_of_texts_gets_texts(checkpoint):
    encoder = PromptEncoder(checkpoint)
    assert encoder.released_text("USER: Who?") == "USER: Who?"
    assert encoder.chat_text(TURNS) == "[user] Who is Ann?\nTell me.\n[assistant] "


def test_without_a_template_the_turns_are_written_out(tmp_path):
    folder = save_text_model("llama", tmp_path, chat_template=None)
    encoder = PromptEncoder(load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu")))
    assert encoder.chat_text(TURNS) == "USER: Who is Ann?\nTell me.\nASSISTANT:"


def test_answers_and_likelihoods_are_those_of_plain_calls(checkpoint):
    encoder = PromptEncoder(checkpoint)
    texts = [f"USER: question {number * 7919 % 1000}{' indeed' * number}\nASSISTANT:" for number in range(5)]
    requests = [PromptRequest(text, list, Generation(max_new_tokens=8), "text", text) for text in texts]
    engine = AnsweringEngine(checkpoint, encoder, AnsweringSettings(batch_size="3"))
    for text, answer in zip(texts, engine.answer(requests), strict=True):
        inputs = checkpoint.tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        new = checkpoint.model.generate(**inputs, max_new_tokens=8, do_sample=False, pad_token_id=0)
        plain = checkpoint.tokenizer.decode(new[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        assert answer.text == plain
    ((likelihood,),) = LikelihoodScorer(checkpoint, encoder).score([ContinuationRequest(texts[0], (" Ann",), list)])
    ids = checkpoint.tokenizer(texts[0] + " Ann", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = checkpoint.model(input_ids=ids).logits[0, -5:-1].log_softmax(-1)
    assert likelihood.tokens == 4
    wanted = logits.gather(-1, ids[0, -4:, None]).sum()
    assert likelihood.log_probability == pytest.approx(float(wanted), abs=1e-4)


def test_fingerprints_tell_its_weights_and_its_tokenizer(checkpoint, tmp_path):
    assert weights_fingerprint(checkpoint) == weights_fingerprint(checkpoint)
    folder = save_text_model("llama", tmp_path / "other")
    tokenizer = checkpoint.tokenizer.__class__.from_pretrained(folder)
    tokenizer.add_tokens(["<more>"])
    tokenizer.save_pretrained(folder)
    other = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))
    assert processor_fingerprint(other) != processor_fingerprint(checkpoint)


def test_the_tokenizer_of_another_models_processor_will_do(tmp_path):
    folder = save_text_model("llama", tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    settings: dict[str, Any] = {"pretrained": str(folder), "device": "cpu"}
    with pytest.raises(ModelError, match=r"No usable tokenizer in .* Name one with the argument processor\.$"):
        load_checkpoint(ModelSettings(**settings))
    llava_processor().save_pretrained(tmp_path / "processor")
    loaded = load_checkpoint(ModelSettings(**settings, processor=str(tmp_path / "processor")))
    assert not loaded.takes_pictures


def test_its_neurons_are_pruned(tmp_path):
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(save_text_model("qwen2", tmp_path)), device="cpu"))
    blocks = find_mlp_blocks(checkpoint.model)
    mask = NeuronMask.of_blocks(blocks, [torch.tensor([0, 5]), torch.tensor([7])])
    zero_neurons(checkpoint.model, blocks, mask)
    verify_zeros(checkpoint.model, blocks, mask)
