"""Answers under every logits processor that a checkpoint's generation config can bring, against a plain loop."""

from __future__ import annotations

import dataclasses

import pytest
from support.mixed_requests import mixed_requests
from support.models import save_llava
from support.plain_loop import plain_answers

from lmms_manu.answering.engine import AnsweringEngine
from lmms_manu.answering.generation import Generation
from lmms_manu.answering.requests import PromptRequest
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings

G, AT = 74, 35
"""The tokens of `g` and `@`, which the tiny model likes to write."""

SETTINGS = {
    "repetition_penalty": 4.0,
    "encoder_repetition_penalty": 0.5,
    "no_repeat_ngram_size": 1,
    "encoder_no_repeat_ngram_size": 1,
    "bad_words_ids": [[AT, G], [G], [0]],
    "sequence_bias": [[[AT, G], -20.0], [[0], 9.0], [[G, AT], 9.0]],
    "min_length": 52,
    "min_new_tokens": 7,
    "forced_eos_token_id": 2,
    "exponential_decay_length_penalty": (2, 1.5),
    "suppress_tokens": list(range(70, 160)),
    "begin_suppress_tokens": list(range(4, 150)),
}
"""A value for each setting that changes the answers of the tiny model."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Checkpoint:
    """A character that the model likes ends its answers and fills up batches, as the end token of many models does."""
    folder = save_llava(tmp_path_factory.mktemp("llava"))
    loaded = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))
    loaded.tokenizer.add_special_tokens({"pad_token": "@", "eos_token": "@"})
    loaded.model.generation_config.eos_token_id = AT
    return loaded


@pytest.fixture(scope="module")
def requests(checkpoint) -> list[PromptRequest]:
    return mixed_requests(PromptEncoder(checkpoint), count=15, new_tokens=12)


@pytest.fixture(scope="module")
def plain(checkpoint, requests) -> list[str]:
    return plain_answers(checkpoint, requests)


@pytest.fixture
def configure(checkpoint, monkeypatch):
    def put(**settings) -> None:
        for name, value in settings.items():
            monkeypatch.setattr(checkpoint.model.generation_config, name, value)

    return put


def answered(checkpoint, requests) -> list[str]:
    engine = AnsweringEngine(checkpoint, PromptEncoder(checkpoint), AnsweringSettings(batch_size="4"))
    texts = [answer.text for answer in engine.answer(requests)]
    assert engine.work.computed_prompt_tokens < engine.work.prompt_tokens, "the exemplars are shared"
    return texts


@pytest.mark.filterwarnings("ignore:Unfeasible length")
@pytest.mark.parametrize("name", SETTINGS)
def test_answers_are_those_of_a_plain_loop_under(name, checkpoint, requests, plain, configure):
    configure(**{name: SETTINGS[name]})
    wanted = plain_answers(checkpoint, requests)
    assert wanted != plain
    assert answered(checkpoint, requests) == wanted


def test_the_beams_of_a_prompt_are_processed_with_its_own_tokens(checkpoint, requests, configure):
    searched = [
        dataclasses.replace(one, generation=Generation(max_new_tokens=10, num_beams=2)) for one in requests[2::3]
    ]
    without = plain_answers(checkpoint, searched)
    configure(repetition_penalty=4.0, no_repeat_ngram_size=1)
    engine = AnsweringEngine(checkpoint, PromptEncoder(checkpoint), AnsweringSettings(batch_size="4"))
    wanted = plain_answers(checkpoint, searched)
    assert [answer.text for answer in engine.answer(searched)] == wanted != without
    assert checkpoint.model.generation_config.repetition_penalty == 4.0, "the checkpoint's own settings are back"
