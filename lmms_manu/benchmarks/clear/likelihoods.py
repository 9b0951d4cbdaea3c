"""How likely a model finds what CLEAR says is right, and what it says is wrong: its probabilities and truth ratios.

Nothing is generated. A caption's truth ratio sets the wrong captions against the paraphrase, as TOFU does; that of a
name, or of an answer about the world, against the right one. The token that ends an answer does not count.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from lmms_manu import likelihood_metrics as metrics
from lmms_manu.benchmarks.clear.accounts import account
from lmms_manu.benchmarks.clear.names import TASKS
from lmms_manu.benchmarks.clear.questions import CAPTION
from lmms_manu.benchmarks.given_answers import likelihoods_of

OF_ONE_QUESTION = ("caption_probability", "choice_probability", "caption_truth_ratio", "choice_truth_ratio")
"""The metrics that a question has, those of its own kind."""


def score(document: Mapping[str, Any], response: str, edit: str | None = None) -> dict[str, Any]:
    """The metrics of one question.

    Args:
        document: the question, a row of `questions.DOCUMENT_FEATURES` with `answers`.
        response: their likelihoods, as `lmms_manu.answering.requests.written` writes them.
        edit: the fingerprint of the model's edit, None for a model as it was.

    Raises:
        DataError: the response is an answer: the model was not asked for likelihoods.
    """
    label = f"{document['leaf']}, {document['config']} row {document['row']}"
    found = likelihoods_of(response, len(document["answers"]), label)
    about = document["about"]
    right, wrong = found[0].log_probs, [one.log_probs for one in found[2 if about == CAPTION else 1 :]]
    told = found[1].log_probs if about == CAPTION else right
    log_ratio = metrics.log_truth_ratio(told, wrong)
    is_forgotten = TASKS[document["leaf"]].split == "forget"
    truth_ratio = metrics.closer_to_one(log_ratio) if is_forgotten else metrics.true_better(log_ratio)
    probability = metrics.answer_probability(right) if about == CAPTION else metrics.prob_mean(right, wrong)
    lines = [
        f"{metrics.answer_probability(one.log_probs):.3f} {answer}"
        for answer, one in zip(document["answers"], found, strict=True)
    ]
    return {
        f"{about}_probability": probability,
        f"{about}_truth_ratio": truth_ratio,
        "harmonic_mean": {f"{about}_probability": probability, f"{about}_truth_ratio": truth_ratio},
        "skipped": {"leaf": document["skipped"], "here": 0},
        "scored": {
            **account(document, "\n".join(lines), edit),
            "log_probs": [list(one.log_probs) for one in found],
            metrics.LOG_TRUTH_RATIO: log_ratio if about == CAPTION else None,
        },
    }


def harmonic_mean(items: Sequence[Mapping[str, float]]) -> float:
    """The harmonic mean of a leaf's mean probabilities and mean truth ratios: CLEAR's aggregate of a split.

    Args:
        items: for each question its probability and its truth ratio, by name.
    """
    values: dict[str, list[float]] = {}
    for item in items:
        for name, value in item.items():
            values.setdefault(name, []).append(value)
    return statistics.harmonic_mean([statistics.fmean(some) for some in values.values()]) if values else float("nan")
