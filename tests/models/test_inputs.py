from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.families import SEVERAL_PICTURES, save_family
from support.mixed_requests import mixed_requests
from support.models import llava_processor, save_llava

from lmms_manu.benchmarks.stand_ins import picture
from lmms_manu.errors import ModelError
from lmms_manu.models.inputs import PromptEncoder, answer_start
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.prepared_pictures import PictureCache, PreparedPicture, digest_of
from lmms_manu.models.rendering import PromptRenderer
from lmms_manu.models.settings import ModelSettings

TURNS: list[Any] = [
    {"role": "user", "content": [{"type": "image", "url": None}, {"type": "text", "text": "Who?"}]},
    {"role": "assistant", "content": "Ann"},
    {"role": "user", "content": [{"type": "text", "text": "And <image> here?"}]},
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return load_checkpoint(ModelSettings(pretrained=str(save_llava(tmp_path_factory.mktemp("llava"))), device="cpu"))


@pytest.fixture
def encoder(checkpoint):
    return PromptEncoder(checkpoint)


def same_inputs(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in other)


def test_prompts_put_together_equal_those_of_the_processor(encoder):
    requests = mixed_requests(encoder)
    for pictured in (True, False):
        alike = [request for request in requests if bool(request.pictures()) is pictured]
        texts, pictures = [request.text for request in alike], [request.pictures() for request in alike]
        assert same_inputs(encoder.encode(texts, pictures), encoder.process(texts, pictures))
        assert all(prompt.separable for prompt in encoder.tokenize(texts, pictures))


def test_prompts_with_and_without_pictures_are_not_processed_at_once(encoder):
    with pytest.raises(ValueError, match="cannot be processed at once"):
        encoder.process([encoder.released_text("<image>a"), "a"], [[picture(1)], []])


@pytest.mark.parametrize("pictured", [True, False])
@pytest.mark.parametrize("family", SEVERAL_PICTURES)
def test_every_family_gets_what_its_processor_gives(family, pictured, tmp_path):
    encoder = PromptEncoder(load_checkpoint(ModelSettings(pretrained=str(save_family(family, tmp_path)), device="cpu")))
    requests = [one for one in mixed_requests(encoder, count=6) if bool(one.pictures()) is pictured]
    texts, pictures = [request.text for request in requests], [request.pictures() for request in requests]
    encoded = encoder.encode(texts, pictures)
    assert same_inputs(encoded, encoder.process(texts, pictures))
    prompts = encoder.tokenize(texts, pictures)
    assert [len(prompt) for prompt in prompts] == encoded["attention_mask"].sum(1).tolist()
    assert [len(prompt.picture_bytes) for prompt in prompts] == [len(own) for own in pictures]


@pytest.mark.parametrize(
    ("family", "small"),
    [("qwen2_vl", (28, 84)), ("qwen2_5_vl", (28, 84)), ("qwen3_vl", (28, 84)), ("mistral3", (28, 28))],
)
def test_a_picture_of_as_few_tokens_as_its_size_has_numbers_is_no_different(family, small, tmp_path):
    encoder = PromptEncoder(load_checkpoint(ModelSettings(pretrained=str(save_family(family, tmp_path)), device="cpu")))
    text = encoder.released_text("USER: <image>\nWho is this?\nASSISTANT:")
    for number, size in enumerate([(56, 56), small, (56, 28), (64, 48), (64, 64)]):
        shown = [[picture(number, size)]]
        assert same_inputs(encoder.encode([text], shown), encoder.process([text], shown)), size
        assert encoder.tokenize([text], shown)[0].separable


@pytest.mark.parametrize("family", ["qwen2_vl", "mistral3"])
def test_the_first_picture_may_be_one_of_so_few_tokens(family, tmp_path):
    encoder = PromptEncoder(load_checkpoint(ModelSettings(pretrained=str(save_family(family, tmp_path)), device="cpu")))
    for size in ((28, 84) if family == "qwen2_vl" else (28, 28), (56, 56)):
        shown = [[picture(1, size)]]
        text = encoder.released_text("<image>\nWho?")
        assert same_inputs(encoder.encode([text], shown), encoder.process([text], shown)), size


def test_a_processor_that_wants_pictures_gives_the_same_text_without(tmp_path):
    encoder = PromptEncoder(
        load_checkpoint(ModelSettings(pretrained=str(save_family("paligemma", tmp_path)), device="cpu"))
    )
    with_picture = encoder.encode(["<image>Who?"], [[picture(1)]])["input_ids"][0].tolist()
    alone = encoder.encode(["Who?", "Who is it?"], [[], []])
    marks = [token for token in with_picture if token != encoder.tokenizer.convert_tokens_to_ids("<image>")]
    assert alone["input_ids"][0][alone["attention_mask"][0].bool()].tolist() == marks
    assert "pixel_values" not in alone


def test_a_processor_that_writes_the_picture_itself_is_given_the_text_without(tmp_path):
    encoder = PromptEncoder(
        load_checkpoint(ModelSettings(pretrained=str(save_family("blip-2", tmp_path)), device="cpu"))
    )
    encoded = encoder.encode(["<image>Who?"], [[picture(1)]])["input_ids"][0].tolist()
    assert encoded.count(encoder.tokenizer.convert_tokens_to_ids("<image>")) == 4
    with pytest.raises(ModelError, match="one picture at a time"):
        encoder.encode(["<image><image>Who?"], [[picture(1), picture(2)]])


def test_pictures_become_what_the_processor_makes_of_them_wherever_they_stand(tmp_path):
    # Its processor merges the marks of pictures that meet, and parts a mark from a word that follows it.
    folder = save_family("idefics2", tmp_path)
    encoder = PromptEncoder(load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu")))
    texts = ["a <image> b", "a <image>word", "<image><image> a", "a<image>", "<image>\n<image>", "a <image>, b"]
    pictures = [[picture(number, (20 + number, 24)) for number in range(text.count("<image>"))] for text in texts]
    for text, own in zip(texts, pictures, strict=True):
        assert same_inputs(encoder.encode([text], [own]), encoder.process([text], [own])), text
    assert same_inputs(encoder.encode(texts, pictures), encoder.process(texts, pictures))
    assert encoder.tokenize(texts[:1], pictures[:1])[0].separable


def test_batches_are_padded_on_the_left(encoder):
    encoded = encoder.encode(["a", "a longer one"], [[], []])
    assert encoded["attention_mask"][0].tolist() == [0] * 11 + [1]
    assert encoded["attention_mask"][1].all()


def test_a_picture_takes_the_tokens_that_the_model_has_for_it(encoder):
    text = encoder.released_text("<image>x")
    assert encoder.token_count(text, [picture(1)]) == 16 + 1


def test_another_number_of_placeholders_than_pictures_is_an_error(encoder):
    with pytest.raises(ModelError, match="2 placeholders '<image>' for 1 pictures"):
        encoder.encode(["<image><image>"], [[picture(1)]])


def test_a_template_that_writes_the_first_token_does_not_double_it(checkpoint):
    from tokenizers.processors import TemplateProcessing

    encoder = PromptEncoder(checkpoint)
    encoder.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    try:
        assert encoder.encode(["<s>a"], [[]])["input_ids"].tolist() == encoder.encode(["a"], [[]])["input_ids"].tolist()
    finally:
        encoder.tokenizer.backend_tokenizer.post_processor = None


def test_messages_follow_the_chat_template_and_a_literal_placeholder_is_no_picture():
    text = PromptRenderer(llava_processor()).chat_text(TURNS)
    assert text == "USER: <image>\nWho?\nASSISTANT: Ann\nUSER: And  here?\nASSISTANT:"


def test_without_a_template_messages_are_written_out_all_the_same():
    text = PromptRenderer(llava_processor(chat_template=None)).chat_text(TURNS)
    assert text == "USER: <image>\nWho?\nASSISTANT: Ann\nUSER: And  here?\nASSISTANT:"


def test_released_prompts_take_the_placeholder_of_the_model(tmp_path):
    folder = save_family("qwen2_vl", tmp_path)
    encoder = PromptEncoder(load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu")))
    assert encoder.released_text("USER: <image>\nQ") == "USER: <|vision_start|><|image_pad|><|vision_end|>\nQ"


def prepared(number: int) -> PreparedPicture:
    """One of 400 bytes."""
    return PreparedPicture(digest_of(picture(number)), np.zeros(1, np.int32), {"pixel_values": torch.zeros(1, 100)})


def test_the_pictures_used_last_are_kept():
    cache = PictureCache(keep_bytes=900)
    for number in (1, 2):
        cache.keep(prepared(number))
    assert cache.find(digest_of(picture(1))) is not None
    cache.keep(prepared(3))
    assert cache.find(digest_of(picture(2))) is None
    assert cache.find(digest_of(picture(1))) is not None
    assert cache.find(digest_of(picture(3))) is not None


def test_a_picture_is_prepared_once_while_it_is_kept(encoder, monkeypatch):
    encoder.pictures.clear()
    processed = []
    process = encoder.process

    def counted(*inputs):
        processed.append(inputs)
        return process(*inputs)

    monkeypatch.setattr(encoder, "process", counted)
    for _ in range(2):
        encoder.token_count(encoder.released_text("<image>x"), [picture(1)])
    first = len(processed)
    encoder.token_count(encoder.released_text("<image>x"), [picture(2)])
    assert 0 < first < len(processed)


def test_pictures_of_equal_bytes_and_other_shape_differ():
    assert digest_of(picture(1, (20, 10))) != digest_of(picture(1, (10, 20)))
    assert digest_of(picture(1)) == digest_of(picture(1))


@pytest.mark.parametrize(
    ("question", "whole", "start"),
    [([1, 2], [1, 2, 3], 2), ([1, 2, 9], [1, 2, 3, 9], 2), ([1, 2], [1, 5, 3], 1), ([1, 2], [1, 2], 2), ([1], [], 0)],
)
def test_an_answer_starts_where_the_question_alone_ends_or_was_joined_with_it(question, whole, start):
    assert answer_start(question, np.asarray(whole)) == start
