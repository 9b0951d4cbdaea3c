"""Answers and likelihoods on a device: of exact arithmetic, and the same for any size of batch."""

from __future__ import annotations

import logging

import pytest
import torch
from support.plain_loop import plain_answers
from support.rendered import noise

from lmms_manu.answering.engine import AnsweringEngine
from lmms_manu.answering.generation import Generation
from lmms_manu.answering.likelihood import LikelihoodScorer
from lmms_manu.answering.requests import ContinuationRequest, PromptRequest
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.models.inputs import PromptEncoder

SHOTS = "".join(f"USER: <image>\nWho is number {number}?\nASSISTANT: A\n" for number in range(3))


def requests(count=9):
    """Texts, and questions behind exemplars with pictures, of many lengths."""

    def of(number):
        words = f"question {number * 7919 % 1000}" + " indeed" * (number % 4)
        if number % 2:
            pictures = [noise(100), noise(101), noise(102), noise(number)]
            return PromptRequest(
                f"{SHOTS}USER: <image>\n{words}\nASSISTANT:", lambda: pictures, Generation(max_new_tokens=8), "shots"
            )
        return PromptRequest(f"USER: {words}\nASSISTANT:", list, Generation(max_new_tokens=8), "text")

    return [of(number) for number in range(count)]


def answers(checkpoint, size):
    engine = AnsweringEngine(checkpoint, PromptEncoder(checkpoint), AnsweringSettings(batch_size=size))
    return [answer.text for answer in engine.answer(requests())]


@pytest.fixture(scope="module")
def expected(exact):
    """One prompt after the other through the model's own `generate`, in float64."""
    return plain_answers(exact, requests())


@pytest.mark.parametrize("size", ["1", "4", "auto"])
def test_answers_are_those_of_exact_arithmetic_for_any_size_of_batch(load, expected, size):
    assert answers(load(), size) == expected
    assert len(set(expected)) > 4


def test_answers_of_bfloat16_that_are_asked_for_twice_are_the_same(load):
    checkpoint = load("bfloat16")
    assert answers(checkpoint, "auto") == answers(checkpoint, "auto")


def test_likelihoods_are_those_of_exact_arithmetic(load, exact):
    found, right = (
        LikelihoodScorer(one, PromptEncoder(one)).score(
            [
                ContinuationRequest(request.text, (" A", " an answer"), request.pictures, group=request.group)
                for request in requests()
            ]
        )
        for one in (load(), exact)
    )
    for own, others in zip(found, right, strict=True):
        for one, other in zip(own, others, strict=True):
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-3)
            assert one.likeliest == other.likeliest


def test_out_of_memory_halves_the_batch_and_gives_the_same_answers(load, device, expected, caplog):
    checkpoint = load()

    def hook(module, arguments, named):
        ids = named.get("input_ids")
        if ids is not None and len(ids) > 2:
            torch.empty(2**50, dtype=torch.uint8, device=device)

    checkpoint.model.register_forward_pre_hook(hook, with_kwargs=True)
    with caplog.at_level(logging.WARNING):
        assert answers(checkpoint, "4") == expected
    assert "going on with 2" in caplog.text
