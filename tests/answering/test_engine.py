from __future__ import annotations

import dataclasses
import functools
import random

import pytest
import torch
from PIL import Image
from support.families import SEVERAL_PICTURES, save_family
from support.mixed_requests import mixed_requests
from support.models import save_llava
from support.plain_loop import plain_answers

from lmms_manu.answering.engine import AnsweringEngine
from lmms_manu.answering.generation import Generation
from lmms_manu.answering.requests import PromptRequest
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.benchmarks.stand_ins import picture
from lmms_manu.errors import DataError, ModelError
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings

# The models here compute in float32, in which the sums of batches of different shape differ by about 1e-6 of a logit;
# the two likeliest tokens of these prompts lie further apart, so equal answers are the right thing to ask for.


def engine_of(checkpoint, batch_size="auto", **settings) -> AnsweringEngine:
    return AnsweringEngine(checkpoint, PromptEncoder(checkpoint), AnsweringSettings(batch_size=batch_size, **settings))


def text_request(text: str, label: str = "a task, document 3", **generation) -> PromptRequest:
    return PromptRequest(text, list, Generation(**generation), label=label)


@pytest.fixture(scope="module")
def requests(checkpoint):
    return mixed_requests(PromptEncoder(checkpoint), count=21)


@pytest.fixture(scope="module")
def answers(checkpoint, requests):
    return plain_answers(checkpoint, requests)


@pytest.mark.parametrize("batch_size", ["1", "2", "7", "auto"])
@pytest.mark.parametrize("reuse_prefix", [True, False])
def test_answers_are_those_of_the_simple_loop_for_any_batch_size(
    checkpoint, requests, answers, batch_size, reuse_prefix
):
    engine = engine_of(checkpoint, batch_size, reuse_prefix=reuse_prefix)
    assert [answer.text for answer in engine.answer(requests)] == answers
    assert (engine.work.computed_prompt_tokens < engine.work.prompt_tokens) is reuse_prefix


def test_answers_do_not_depend_on_the_order_of_the_requests(checkpoint, requests, answers):
    order = list(range(len(requests)))
    random.Random(0).shuffle(order)
    shuffled = engine_of(checkpoint).answer([requests[position] for position in order])
    assert [answer.text for answer in shuffled] == [answers[position] for position in order]


@pytest.mark.parametrize("family", SEVERAL_PICTURES)
def test_other_families_answer_as_in_the_plain_answers(family, tmp_path):
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(save_family(family, tmp_path)), device="cpu"))
    requests = mixed_requests(PromptEncoder(checkpoint), count=9, new_tokens=5)
    assert [answer.text for answer in engine_of(checkpoint, "4").answer(requests)] == plain_answers(
        checkpoint, requests
    )


def test_a_family_of_one_picture_a_prompt_answers_as_in_the_plain_answers(tmp_path):
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(save_family("blip-2", tmp_path)), device="cpu"))
    requests = [
        PromptRequest(
            f"<image>Question{' again' * (number % 3)}: who is it? Answer:",
            lambda n=number: [picture(n, (20 + 3 * n, 24))],  # type: ignore[misc]  # a default that is not inferred
            Generation(max_new_tokens=5),
            f"picture {number}",
        )
        for number in range(7)
    ]
    answers = [answer.text for answer in engine_of(checkpoint, "3").answer(requests)]
    assert answers == plain_answers(checkpoint, requests)
    assert len(set(answers)) > 1


def test_exemplars_are_computed_once(checkpoint, requests):
    engine = engine_of(checkpoint)
    shots = [request for request in requests if request.group == "exemplars"]
    engine.answer(shots)
    saved = engine.work.prompt_tokens - engine.work.computed_prompt_tokens
    assert saved > engine.work.prompt_tokens / 2
    assert saved % (len(shots) - 1) == 0, "every prompt but one is spared the same start"


NOT_SHARED = {
    # The positions behind a picture depend on the pictures before it.
    **dict.fromkeys(("glm4v", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe"), (True, False)),
    # A picture's inputs depend on how many there are.
    "llava_onevision": (True, False),
    # The prompts are longer than its sliding window.
    "gemma3": (False, False),
    # Its processor writes something behind every prompt, so that only it can put one together.
    "paligemma": (False, False),
    # Its picture layers keep a cache of their own.
    "mllama": (False, False),
}
"""Families that do not share the start of prompts without or with pictures."""


@pytest.mark.parametrize("family", SEVERAL_PICTURES)
def test_exemplars_are_computed_once_where_the_answers_stay_as_they_are(family, tmp_path):
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(save_family(family, tmp_path)), device="cpu"))
    encoder = PromptEncoder(checkpoint)
    shots = [one for one in mixed_requests(encoder, count=12, new_tokens=5) if one.group == "exemplars"]
    unpictured = [
        dataclasses.replace(one, text=one.text.replace(encoder.placeholder, ""), pictures=list, group="text")
        for one in shots
    ]
    for requests, is_shared in zip((unpictured, shots), NOT_SHARED.get(family, (True, True)), strict=True):
        engine = engine_of(checkpoint, "3")
        assert [answer.text for answer in engine.answer(requests)] == plain_answers(checkpoint, requests)
        assert (engine.work.computed_prompt_tokens < 0.6 * engine.work.prompt_tokens) is is_shared


def two_pictures(number):
    return [picture(number), picture(9)]


def test_a_start_whose_pictures_differ_is_not_shared(checkpoint):
    encoder = PromptEncoder(checkpoint)
    text = encoder.released_text("USER: <image>\nQuestion: who?\nAnswer: A\nUSER: <image>\nwho?\nASSISTANT:")
    requests = [
        PromptRequest(text, functools.partial(two_pictures, number), Generation(max_new_tokens=6), "shown")
        for number in range(4)
    ]
    engine = engine_of(checkpoint)
    assert [answer.text for answer in engine.answer(requests)] == plain_answers(checkpoint, requests)


def test_an_answer_ends_at_a_stop_text(checkpoint):
    request = text_request("USER: tell me\nASSISTANT:", max_new_tokens=30)
    whole = engine_of(checkpoint).answer([request])[0]
    stop = whole.text[4:6]
    stopped = engine_of(checkpoint).answer(
        [dataclasses.replace(request, generation=Generation(max_new_tokens=30, stop=(stop,)))]
    )[0]
    assert stopped.text == whole.text[: whole.text.find(stop)]
    assert stopped.new_tokens < whole.new_tokens


def test_one_character_is_as_good_as_fifty_tokens_where_only_the_first_counts(checkpoint):
    requests = [text_request(f"USER: letter {number}?\nASSISTANT:", max_new_tokens=50) for number in range(40)]
    short = [
        dataclasses.replace(one, generation=dataclasses.replace(one.generation, first_character_only=True))
        for one in requests
    ]
    whole, brief = engine_of(checkpoint).answer(requests), engine_of(checkpoint).answer(short)
    assert [answer.text.strip()[:1] for answer in whole] == [answer.text.strip()[:1] for answer in brief]
    # Half a character is none yet: an untrained model that writes bytes may begin with one.
    lettered = [answer for answer in brief if answer.text.strip()[:1].isascii()]
    assert lettered
    assert all(answer.new_tokens <= len(answer.text) + 1 < 10 for answer in lettered)


def test_requests_of_other_settings_are_answered_each_by_its_own(checkpoint):
    requests = [text_request(f"USER: {number}\nASSISTANT:", max_new_tokens=3 + number % 3) for number in range(9)]
    assert [answer.new_tokens for answer in engine_of(checkpoint).answer(requests)] == [3, 4, 5] * 3


def test_beams_and_draws_are_passed_on(checkpoint):
    beams = engine_of(checkpoint).answer([text_request("USER: a\nASSISTANT:", max_new_tokens=8, num_beams=3)])
    inputs = PromptEncoder(checkpoint).process(["USER: a\nASSISTANT:"], [[]])
    wanted = checkpoint.model.generate(**inputs, max_new_tokens=8, num_beams=3, do_sample=False)
    assert beams[0].text == checkpoint.tokenizer.decode(wanted[0, inputs["input_ids"].shape[1] :], True)
    drawn = [
        text_request(f"USER: a\nASSISTANT:{' ' * n}", max_new_tokens=8, do_sample=True, temperature=9.0)
        for n in range(4)
    ]
    torch.manual_seed(0)
    first = engine_of(checkpoint).answer(drawn)
    assert first != engine_of(checkpoint).answer(drawn)


def test_a_prompt_longer_than_the_context_is_named_before_anything_is_answered(checkpoint):
    asked = []
    long = PromptRequest("x" * 3000, list, Generation(), label="a task, document 7", advice="Lower the exemplars.")

    def requests():
        yield text_request("short")
        yield long

    hook = checkpoint.model.register_forward_pre_hook(lambda *arguments: asked.append(arguments))
    try:
        with pytest.raises(ModelError, match=r"a task, document 7: .* 3001 tokens .* has 2048. Lower the exemplars"):
            engine_of(checkpoint).answer(requests())
    finally:
        hook.remove()
    assert asked == []


def test_an_answer_ends_where_the_context_does(tmp_path):
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(save_llava(tmp_path, context=40)), device="cpu"))
    prompts = ["x" * 30, "x" * 38]
    for batch_size in ("1", "2"):
        answers = engine_of(checkpoint, batch_size).answer([text_request(p, max_new_tokens=50) for p in prompts])
        assert [answer.new_tokens for answer in answers] == [10, 2]


def test_a_picture_that_cannot_be_read_names_its_document(checkpoint, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    request = PromptRequest("<image>", lambda: [Image.open(broken)], Generation(), label="a task, document 5")
    with pytest.raises(DataError, match="a task, document 5: a picture cannot be read"):
        engine_of(checkpoint).answer([request])


def test_out_of_memory_leads_to_smaller_batches_and_the_same_answers(checkpoint, requests, answers, caplog):
    def too_much(module, arguments, options):
        if options["input_ids"].shape[0] > 3:
            raise torch.OutOfMemoryError("no room")

    hook = checkpoint.model.register_forward_pre_hook(too_much, with_kwargs=True)
    try:
        small = engine_of(checkpoint).answer(requests)
    finally:
        hook.remove()
    assert [answer.text for answer in small] == answers
    assert "out of memory" in caplog.text


def test_an_error_while_answering_is_no_empty_answer(checkpoint):
    def broken(*arguments):
        raise RuntimeError("a real defect")

    hook = checkpoint.model.register_forward_pre_hook(broken)
    try:
        with pytest.raises(RuntimeError, match="a real defect"):
            engine_of(checkpoint).answer([text_request("x")])
    finally:
        hook.remove()


def test_pictures_of_a_whole_benchmark_need_not_lie_in_memory(checkpoint, requests, answers):
    encoder = PromptEncoder(checkpoint, keep_bytes=1)
    engine = AnsweringEngine(checkpoint, encoder, AnsweringSettings(batch_size="4"))
    assert [answer.text for answer in engine.answer(requests)] == answers


def test_nothing_to_answer_gives_nothing(checkpoint):
    assert engine_of(checkpoint).answer([]) == []
