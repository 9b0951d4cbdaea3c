"""The tasks of likelihoods in the real harness: what is scored behind which prompt, and what is made of it."""

import math

import pytest
import torch
from support.models import save_llava
from support.rule_models import ChatRule

from lmms_manu.answering.requests import Likelihood, written
from lmms_manu.benchmarks.mllmu import DatasetSource, ProtocolSettings, likelihoods, prompt_building
from lmms_manu.benchmarks.registry import find_task, get_benchmark
from lmms_manu.errors import DataError
from lmms_manu.likelihood_metrics import LOG_TRUTH_RATIO
from lmms_manu.plugins.manu_pruned import ManuPruned

TEXT = "mllmu_retain_15_likelihood_text"


def rows(*log_probs):
    return written([Likelihood((value,), (value > -1,)) for value in log_probs])


def by_kind(document):
    """Right options at 0.4, wrong ones at 0.1; answers at 0.9, what fills a blank at 0.2."""
    if document["options"]:
        return rows(*map(math.log, (0.4, 0.1, 0.1, 0.1)))
    return rows(math.log(0.9 if "generation" in document["leaf"] else 0.2))


def test_each_metric_counts_the_questions_of_its_kind_alone(evaluate):
    forget = "mllmu_forget_15_likelihood_text"
    results = evaluate(TEXT, forget, model=ChatRule(by_kind))["results"]
    expected = {
        "answer_probability": 0.9,
        "cloze_probability": 0.2,
        "exact_memorisation": 1.0,
        "extraction_strength": 1.0,
        "prob_mean": 0.4 / 0.7,
    }
    for leaf, truth_ratio in ((TEXT, 1 - 0.25), (forget, 0.25)):
        own = results[leaf]
        assert {name: own[f"{name},none"] for name in expected} == pytest.approx(expected)
        assert own["truth_ratio,none"] == pytest.approx(truth_ratio)


def test_a_report_reads_back_what_was_scored(evaluate):
    samples = evaluate(TEXT, model=ChatRule(by_kind))["samples"][TEXT]
    task = find_task(TEXT)
    assert task is not None
    read = [get_benchmark("mllmu").read_sample(sample, task) for sample in samples]
    assert len({sample.key for sample in read}) == len(read)
    asked = [sample for sample in read if "truth_ratio" in sample.scores]
    assert asked[0].scores[LOG_TRUTH_RATIO][0] == pytest.approx(math.log(0.25))
    assert asked[0].response.splitlines()[0] == f"0.400 {asked[0].target}"
    assert {len(sample.scores) for sample in read} == {1, 3}


@pytest.mark.parametrize("answer", ["Oslo it is", "[]", rows(0.0, 0.0, 0.0, 0.0, 0.0), rows(math.nan)])
def test_what_is_no_likelihood_of_the_answers_becomes_no_number(folder, answer):
    source = DatasetSource.resolve(str(folder))
    leaf = likelihoods.LEAVES_OF_LIKELIHOODS[TEXT]
    document = likelihoods.load_likelihoods(leaf, source, ProtocolSettings()).documents[0]
    with pytest.raises(DataError, match="likelihoods are needed, and the model gave"):
        likelihoods.score(document, answer)


@pytest.mark.parametrize("modality", ["multimodal", "text"])
def test_the_model_scores_each_answer_behind_the_prompt_of_its_task(
    evaluate, folder, monkeypatch, tmp_path_factory, modality
):
    """Against one plain forward pass for each text, with the released prompts, exemplars and pictures."""
    monkeypatch.setenv("LMMS_MANU_DATASET", str(folder))
    checkpoint = save_llava(tmp_path_factory.mktemp("likelihoods") / "tiny", context=8192)
    model = ManuPruned(pretrained=str(checkpoint), method="none", forget_ratio=5, device="cpu")
    leaf = f"mllmu_forget_likelihood_{modality}"
    samples = evaluate(leaf, model=model)["samples"][leaf]
    source = DatasetSource.resolve(str(folder))
    documents = likelihoods.load_likelihoods(likelihoods.LEAVES_OF_LIKELIHOODS[leaf], source, ProtocolSettings())
    assert len(samples) == len(documents.documents)
    for document, sample in zip(documents.documents, samples, strict=True):
        prompt = likelihoods.pictures(document).prompt
        if document["options"]:
            assert "A:" not in prompt.released
            assert len(prompt.continuations) == 4
        else:
            assert prompt.released == prompt_building.released_text(document)
        for text, row in zip(prompt.continuations, sample["scored"]["likelihoods"], strict=True):
            assert row["log_probs"] == pytest.approx(plainly(model, prompt, text), abs=2e-3)


def plainly(model, prompt, text):
    blank = "" if prompt.released.endswith(" ") else " "
    question, encoder = model._encoder.released_text(prompt.released), model._encoder
    before = encoder.process([question], [prompt.pictures])["input_ids"].shape[1]
    inputs = encoder.process([question + blank + text], [prompt.pictures])
    with torch.no_grad():
        logits = model._checkpoint.model(**inputs).logits[0].log_softmax(-1)
    ids = inputs["input_ids"][0]
    return [float(logits[place - 1, ids[place]]) for place in range(before, len(ids))]
