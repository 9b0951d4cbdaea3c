"""What a leaf of the user's own data reports: `score_answer` gives what the harness keeps, `read_sample` reads it back.

Beside the scores each sample has the accounts of `lmms_manu.benchmarks.aggregations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmms_manu.benchmarks import answer_scores
from lmms_manu.benchmarks.own import likelihoods
from lmms_manu.benchmarks.own.accounts import account
from lmms_manu.benchmarks.own.names import LIKELIHOOD, METRICS, TASKS
from lmms_manu.benchmarks.own.questions import LETTERS
from lmms_manu.benchmarks.sample import Sample, Score, text_of

_METRICS_OF_KEYS = {
    "rouge_l": "rouge_l",
    "answer_recall": "answer_recall",
    "classification_accuracy": "classification",
    "cloze_accuracy": "cloze",
    **{name: name for name in METRICS[LIKELIHOOD]},
}
"""What reports call the scores."""


def score_answer(document: Mapping[str, Any], response: str, edit: str | None = None) -> dict[str, Any]:
    """The scores of one answer: accuracies in percent, ROUGE from 0 to 1.

    Args:
        document: the question, a row of `questions.DOCUMENT_FEATURES`.
        response: what the model answered; the turns that it invents after its answer are kept, but not scored.
        edit: the fingerprint of the edit that the model was given, None for a model as it was.
    """
    task, answer = TASKS[document["leaf"]], document["answer"]
    if task.reads_likelihoods:
        return likelihoods.score(document, response, edit)
    given = answer_scores.first_turn(response)
    values: dict[str, Any]
    if task.kind == "classification":
        letter = answer_scores.chosen_letter(given, LETTERS[: len(document["options"])])
        points = float(letter == answer)
        values = {"classification_accuracy": 100.0 * points, "unparsed": int(letter is None)}
    elif task.kind == "cloze":
        points = float(answer_scores.cloze_is_right(given, answer))
        values = {"cloze_accuracy": 100.0 * points}
    else:
        points = answer_scores.rouge(given, answer)["rouge_l"]
        values = {"rouge_l": points, "answer_recall": answer_scores.rouge_l_recall(given, answer)}
    return {
        **values,
        "answer_score": points,
        "clustered_score": {"score": points, "person": document["person"]},
        "skipped": {"leaf": document["skipped"], "here": 0},
        # Not "score": of dictionaries that hold one the harness takes a standard error, here of a count.
        "scored": {**account(document, response, edit), "points": points},
    }


def read_sample(line: Mapping[str, Any]) -> Sample:
    """A line of the samples file, in which the harness keeps what `score_answer` gave."""
    scored = line["scored"]
    scores: dict[str, Score] = {name: (float(line[key]), 1.0) for key, name in _METRICS_OF_KEYS.items() if key in line}
    if "unparsed" in line:
        scores["unparsed"] = (100.0 * line["unparsed"], 1.0)
    if scored.get("log_truth_ratio") is not None:
        scores["log_truth_ratio"] = (float(scored["log_truth_ratio"]), 1.0)
    return Sample(
        key=scored["label"],
        person=str(scored["person"]),
        question=text_of(scored["question"]),
        target=text_of(scored["target"]),
        response=text_of(scored["response"]),
        scores=scores,
        picture=scored["picture"],
        edit=scored.get("edit"),
    )
