"""How likely a model finds what the benchmark says is right: the documents, prompts and scores of its likelihoods.

Nothing is generated. The answers of generation and cloze questions are scored behind the very prompts, exemplars and
pictures that the answers are asked for with. Multiple-choice questions are asked in generation's prompt, without their
options; the options' texts are the right and the wrong answers. The token that ends an answer does not count.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from datasets import Dataset

from lmms_manu import likelihood_metrics as metrics
from lmms_manu.benchmarks.given_answers import likelihoods_of
from lmms_manu.benchmarks.mllmu import prompt_building
from lmms_manu.benchmarks.mllmu.exemplars import ProtocolSettings
from lmms_manu.benchmarks.mllmu.names import LIKELIHOODS, TASKS, Leaf, likelihood_leaves
from lmms_manu.benchmarks.mllmu.prompts import LETTERS, Conversation, Pictures
from lmms_manu.benchmarks.mllmu.questions import DOCUMENT_FEATURES, LEAVES, LeafQuestions, load_questions
from lmms_manu.benchmarks.mllmu.results import account, picture_is_broken
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.benchmarks.sample import Sample, Score, text_of
from lmms_manu.likelihood_metrics import LOG_TRUTH_RATIO

Document = Mapping[str, Any]

LEAVES_OF_LIKELIHOODS = {leaf.name: leaf for leaf in likelihood_leaves()}


@functools.lru_cache(maxsize=16)
def load_likelihoods(leaf: Leaf, source: DatasetSource, settings: ProtocolSettings) -> LeafQuestions:
    """The questions of a leaf of likelihoods: the documents of the three leaves that ask the same people.

    Raises:
        DataError: one of the three has no usable question.
    """
    asked = [load_questions(Leaf(leaf.split, leaf.ratio, task, leaf.modality), source, settings) for task in TASKS]
    skipped = tuple(item for own in asked for item in own.skipped)
    lost = sum(own.skipped_questions for own in asked)
    rows = [{**document, "skipped": lost} for own in asked for document in own.documents]
    exemplars = tuple(dict.fromkeys(person for own in asked for person in own.exemplars))
    return LeafQuestions(leaf, source, settings, exemplars, Dataset.from_list(rows, DOCUMENT_FEATURES), skipped)


def answers(document: Document) -> tuple[str, ...]:
    """The texts to be scored, the right one first."""
    if not document["options"]:
        return (document["answer"],)
    options = dict(zip(LETTERS, document["options"], strict=True))
    right = options.pop(document["answer"])
    return (right, *options.values())


def conversation(document: Document) -> Conversation:
    """The prompt behind which the answers are scored, as chat messages."""
    return prompt_building.conversation(_asked(document), answers(document))


def pictures(document: Document) -> Pictures:
    """The pictures of the prompt."""
    return prompt_building.pictures(_asked(document), answers(document))


def text(document: Document) -> str:
    """The released prompt."""
    return prompt_building.released_text(_asked(document))


def score(document: Document, response: str, edit: str | None = None) -> dict[str, Any]:
    """The metrics of one question.

    Args:
        document: the question.
        response: the likelihoods of `answers`, as `lmms_manu.answering.requests.written` writes them.
        edit: the fingerprint of the model's edit, None for a model as it was.

    Returns:
        Values by metric; each question has those of its kind only.

    Raises:
        DataError: the response is an answer: the model was not asked for likelihoods.
    """
    if picture_is_broken(document):
        return {"skipped": {"leaf": document["skipped"], "here": 1}}
    texts = answers(document)
    right, *wrong = likelihoods_of(response, len(texts), prompt_building.label(document))
    leaf = LEAVES[document["leaf"]]
    values: dict[str, float] = {}
    log_ratio: float | None = None
    if leaf.task == "classification":
        log_ratio = metrics.log_truth_ratio(right.log_probs, [each.log_probs for each in wrong])
        forgotten = leaf.split in ("forget", "test")
        values["truth_ratio"] = metrics.closer_to_one(log_ratio) if forgotten else metrics.true_better(log_ratio)
        values["prob_mean"] = metrics.prob_mean(right.log_probs, [each.log_probs for each in wrong])
    elif leaf.task == "cloze":
        values["cloze_probability"] = metrics.answer_probability(right.log_probs)
    else:
        values["answer_probability"] = metrics.answer_probability(right.log_probs)
        values["exact_memorisation"] = metrics.exact_memorisation(right.likeliest)
        values["extraction_strength"] = metrics.extraction_strength(right.likeliest)
    told = account(document, response="", target=texts[0], edit=edit)
    told |= {
        "task": leaf.task,
        "answers": list(texts),
        "likelihoods": json.loads(response),
        LOG_TRUTH_RATIO: log_ratio,
    }
    return {**values, "skipped": {"leaf": document["skipped"], "here": 0}, "scored": told}


def read_sample(line: Mapping[str, Any]) -> Sample:
    """A line of the samples file, in which the harness keeps what `score` gave."""
    scored = line.get("scored")
    if not scored:
        return Sample(f"document {line['doc_id']}", "", "", text_of(line.get("target")), "", {})
    scores: dict[str, Score] = {name: (float(line[name]), 1.0) for name in LIKELIHOODS if name in line}
    if scored[LOG_TRUTH_RATIO] is not None:
        scores[LOG_TRUTH_RATIO] = (float(scored["log_truth_ratio"]), 1.0)
    picture = scored.get("picture")
    return Sample(
        key=f"{scored['person']}/{scored['task']}/{scored['number']}",
        person=str(scored["person"]),
        question=text_of(scored["question"]),
        target=text_of(scored["target"]),
        response=_told(scored),
        scores=scores,
        picture=f"{picture['config']}/{picture['row']}/{picture['index']}" if picture else "",
        edit=scored.get("edit"),
    )


def _asked(document: Document) -> Document:
    return prompt_building.openly(document) if document["options"] else document


def _told(scored: Mapping[str, Any]) -> str:
    """The likelihoods in words, for readers."""
    lines = [
        f"{metrics.answer_probability(row['log_probs']):.3f} {answer}"
        for answer, row in zip(scored["answers"], scored["likelihoods"], strict=True)
    ]
    return "\n".join(lines)
