"""How likely a model finds the right answers to the user's own questions, and the wrong options.

Nothing is generated: the answers are scored behind the prompts that they are asked for with, options behind the bare
question. The token that ends an answer does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmms_manu import likelihood_metrics as metrics
from lmms_manu.benchmarks.given_answers import likelihoods_of
from lmms_manu.benchmarks.own.accounts import account
from lmms_manu.benchmarks.own.names import FORGOTTEN, TASKS


def score(document: Mapping[str, Any], response: str, edit: str | None = None) -> dict[str, Any]:
    """The metrics of one question: its answer's probability and, where it has options, theirs.

    Args:
        document: the question, a row of `questions.DOCUMENT_FEATURES` with `answers`.
        response: their likelihoods, as `lmms_manu.answering.requests.written` writes them.
        edit: the fingerprint of the model's edit, None for a model as it was.

    Raises:
        DataError: the response is an answer: the model was not asked for likelihoods.
    """
    answers = document["answers"]
    found = [one.log_probs for one in likelihoods_of(response, len(answers), document["label"])]
    right, *wrong = found
    values = {"answer_probability": metrics.answer_probability(right)}
    log_ratio: float | None = None
    if wrong:
        log_ratio = metrics.log_truth_ratio(right, wrong)
        is_forgotten = TASKS[document["leaf"]].split in FORGOTTEN
        values["option_probability"] = metrics.prob_mean(right, wrong)
        values["truth_ratio"] = metrics.closer_to_one(log_ratio) if is_forgotten else metrics.true_better(log_ratio)
    told = [
        f"{metrics.answer_probability(log_probs):.3f} {answer}"
        for answer, log_probs in zip(answers, found, strict=True)
    ]
    return {
        **values,
        "skipped": {"leaf": document["skipped"], "here": 0},
        "scored": {
            **account(document, "\n".join(told), edit),
            "log_probs": [list(log_probs) for log_probs in found],
            metrics.LOG_TRUTH_RATIO: log_ratio,
        },
    }
