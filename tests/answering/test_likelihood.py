from __future__ import annotations

import pytest
import torch
from support.families import SEVERAL_PICTURES, save_family
from support.mixed_requests import mixed_requests

from lmms_manu.answering.likelihood import LikelihoodScorer
from lmms_manu.answering.requests import ContinuationRequest
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.errors import DataError, ModelError
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings


def continuations(encoder: PromptEncoder) -> list[ContinuationRequest]:
    return [
        ContinuationRequest(one.text, f" answer {number % 4}" + "!" * (number % 3), one.pictures, one.label)
        for number, one in enumerate(mixed_requests(encoder, count=9))
    ]


def scorer_of(checkpoint, batch_size="auto") -> LikelihoodScorer:
    return LikelihoodScorer(checkpoint, PromptEncoder(checkpoint), AnsweringSettings(batch_size=batch_size))


def token_by_token(checkpoint, request: ContinuationRequest) -> tuple[float, bool]:
    """The plain computation: one forward pass, the log-probability of every continuation token added up."""
    encoder = PromptEncoder(checkpoint)
    pictures = request.pictures()
    start = encoder.process([request.text], [pictures])["input_ids"].shape[1]
    inputs = encoder.process([request.text + request.continuation], [pictures])
    with torch.no_grad():
        logits = checkpoint.model(**inputs).logits[0].double().log_softmax(-1)
    ids = inputs["input_ids"][0]
    places = range(start, len(ids))
    total = sum(float(logits[place - 1, ids[place]]) for place in places)
    return total, all(int(logits[place - 1].argmax()) == int(ids[place]) for place in places)


@pytest.mark.parametrize("batch_size", ["1", "4", "auto"])
def test_likelihoods_are_the_sums_over_tokens_for_any_batch_size(checkpoint, encoder, batch_size):
    requests = continuations(encoder)
    for request, score in zip(requests, scorer_of(checkpoint, batch_size).score(requests), strict=True):
        total, greedy = token_by_token(checkpoint, request)
        assert score.log_probability == pytest.approx(total, abs=1e-3)
        assert score.greedy is greedy
        assert score.tokens == len(request.continuation)


@pytest.mark.parametrize("family", SEVERAL_PICTURES)
def test_padding_leaves_the_likelihoods_of_other_families_as_they_are(family, tmp_path):
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(save_family(family, tmp_path)), device="cpu"))
    requests = continuations(PromptEncoder(checkpoint))
    alone, together = (scorer_of(checkpoint, size).score(requests) for size in ("1", "5"))
    for one, other in zip(alone, together, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-3)


def test_the_greedy_continuation_is_recognised(checkpoint, encoder):
    inputs = encoder.process(["USER: who?\nASSISTANT:"], [[]])
    new = checkpoint.model.generate(**inputs, max_new_tokens=5, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    request = ContinuationRequest("USER: who?\nASSISTANT:", encoder.tokenizer.decode(new), list)
    if encoder.text_ids(request.continuation) == new.tolist():
        assert scorer_of(checkpoint).score([request])[0].greedy


def test_an_empty_continuation_is_named(checkpoint):
    with pytest.raises(DataError, match="document 1: the continuation '' has no token"):
        scorer_of(checkpoint).score([ContinuationRequest("a", "", list, "document 1")])


def test_a_continuation_beyond_the_context_is_named(checkpoint):
    with pytest.raises(ModelError, match=r"document 1: .* 2049 tokens"):
        scorer_of(checkpoint).score([ContinuationRequest("a" * 2048, "b", list, "document 1")])
