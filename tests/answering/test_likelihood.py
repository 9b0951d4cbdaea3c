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
        ContinuationRequest(one.text, (f" answer {number % 4}" + "!" * (number % 3),), one.pictures, one.label)
        for number, one in enumerate(mixed_requests(encoder, count=9))
    ]


def scorer_of(checkpoint, batch_size="auto") -> LikelihoodScorer:
    return LikelihoodScorer(checkpoint, PromptEncoder(checkpoint), AnsweringSettings(batch_size=batch_size))


def token_by_token(checkpoint, request: ContinuationRequest) -> tuple[float, bool]:
    """The plain computation: one forward pass, the log-probability of every continuation token added up."""
    encoder = PromptEncoder(checkpoint)
    pictures, (continuation,) = request.pictures(), request.continuations
    start = encoder.process([request.text], [pictures])["input_ids"].shape[1]
    inputs = encoder.process([request.text + continuation], [pictures])
    with torch.no_grad():
        logits = checkpoint.model(**inputs).logits[0].double().log_softmax(-1)
    ids = inputs["input_ids"][0]
    places = range(start, len(ids))
    total = sum(float(logits[place - 1, ids[place]]) for place in places)
    return total, all(int(logits[place - 1].argmax()) == int(ids[place]) for place in places)


@pytest.mark.parametrize("batch_size", ["1", "4", "auto"])
def test_likelihoods_are_the_sums_over_tokens_for_any_batch_size(checkpoint, encoder, batch_size):
    requests = continuations(encoder)
    for request, (score,) in zip(requests, scorer_of(checkpoint, batch_size).score(requests), strict=True):
        total, greedy = token_by_token(checkpoint, request)
        assert score.log_probability == pytest.approx(total, abs=1e-3)
        assert score.greedy is greedy
        assert score.tokens == len(request.continuations[0])


@pytest.mark.parametrize("family", SEVERAL_PICTURES)
def test_padding_leaves_the_likelihoods_of_other_families_as_they_are(family, tmp_path):
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(save_family(family, tmp_path)), device="cpu"))
    requests = continuations(PromptEncoder(checkpoint))
    alone, together = (scorer_of(checkpoint, size).score(requests) for size in ("1", "5"))
    for (one,), (other,) in zip(alone, together, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-3)


def test_the_greedy_continuation_is_recognised(checkpoint, encoder):
    inputs = encoder.process(["USER: who?\nASSISTANT:"], [[]])
    new = checkpoint.model.generate(**inputs, max_new_tokens=5, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    request = ContinuationRequest("USER: who?\nASSISTANT:", (encoder.tokenizer.decode(new),), list)
    if encoder.text_ids(request.continuations[0]) == new.tolist():
        assert scorer_of(checkpoint).score([request])[0][0].greedy


def test_an_empty_continuation_is_named(checkpoint):
    with pytest.raises(DataError, match="document 1: the continuation '' has no token"):
        scorer_of(checkpoint).score([ContinuationRequest("a", ("",), list, "document 1")])


def test_a_continuation_beyond_the_context_is_named(checkpoint):
    with pytest.raises(ModelError, match=r"document 1: .* 2049 tokens"):
        scorer_of(checkpoint).score([ContinuationRequest("a" * 2048, ("b",), list, "document 1")])


def choices(encoder: PromptEncoder) -> list[ContinuationRequest]:
    """Prompts behind exemplars and others, each followed by one text or by several."""
    texts = [("One",), (" yes", " perhaps not", "?"), (" blue", " green sea", " red", " a long answer")]
    return [
        ContinuationRequest(one.text, texts[number % 4 % 3], one.pictures, one.label, group=one.group)
        for number, one in enumerate(mixed_requests(encoder, count=36))
    ]


@pytest.mark.parametrize("family", ["llava", "gemma3", "idefics3", "llava_next", "mllama", "qwen2_vl"])
def test_what_prompts_share_changes_no_likelihood(family, tmp_path, checkpoint):
    """Exemplars and the prompt in front of several choices are computed once where the model allows it."""
    if family != "llava":
        checkpoint = load_checkpoint(ModelSettings(pretrained=str(save_family(family, tmp_path)), device="cpu"))
    encoder = PromptEncoder(checkpoint)
    requests = choices(encoder)
    shared, plain = (
        LikelihoodScorer(checkpoint, encoder, AnsweringSettings(reuse_prefix=reuse), with_spread=True)
        for reuse in (True, False)
    )
    counted = []
    hook = checkpoint.model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: counted.append(inputs[0].numel())
    )
    expected = plain.score(requests)
    of_plain, counted[:] = sum(counted), []
    for ones, others in zip(shared.score(requests), expected, strict=True):
        for one, other in zip(ones, others, strict=True):
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-3)
            assert one.means == pytest.approx(other.means, abs=1e-3)
    hook.remove()
    if family == "llava":
        assert sum(counted) < of_plain


def test_the_spread_is_that_of_the_whole_vocabulary(checkpoint, encoder):
    request = ContinuationRequest("USER: who?\nASSISTANT:", (" me",), list)
    ((score,),) = LikelihoodScorer(checkpoint, encoder, with_spread=True).score([request])
    inputs = encoder.process([request.text + " me"], [[]])
    with torch.no_grad():
        log_probs = checkpoint.model(**inputs).logits[0, -score.tokens - 1 : -1].double().log_softmax(-1)
    means = (log_probs.exp() * log_probs).sum(-1)
    variances = (log_probs.exp() * (log_probs - means[:, None]).square()).sum(-1)
    assert score.means == pytest.approx(means.tolist(), abs=1e-4)
    assert score.variances == pytest.approx(variances.tolist(), abs=1e-4)


def test_a_likelihood_that_is_no_number_is_an_error(checkpoint):
    weight = checkpoint.model.get_output_embeddings().weight
    kept = weight.detach().clone()
    try:
        weight.data[3] = float("nan")
        with pytest.raises(ModelError, match=r"document 7: .* no numbers"):
            scorer_of(checkpoint).score([ContinuationRequest("a", ("b",), list, "document 7")])
    finally:
        weight.data.copy_(kept)
