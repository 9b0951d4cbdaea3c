"""What a leaf of CLEAR reports: `score_answer` gives what the harness keeps, and `read_sample` reads it back.

Beside the scores each sample has the accounts of `lmms_manu.benchmarks.aggregations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmms_manu.benchmarks import answer_scores
from lmms_manu.benchmarks.clear import likelihoods
from lmms_manu.benchmarks.clear.accounts import account
from lmms_manu.benchmarks.clear.names import TASKS
from lmms_manu.benchmarks.clear.prompts import LETTERS
from lmms_manu.benchmarks.sample import Sample, Score, text_of
from lmms_manu.likelihood_metrics import LOG_TRUTH_RATIO

_METRICS_OF_KEYS = {
    "rouge_recall": "rouge_recall",
    "rouge_l": "rouge_l",
    "name_recall": "recognition",
    "classification_accuracy": "classification",
    **{name: name for name in likelihoods.OF_ONE_QUESTION},
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
        values = {"classification_accuracy": 100.0 * (letter == answer), "unparsed": int(letter is None)}
        points = float(letter == answer)
    elif task.kind == "recognition":
        points = answer_scores.rouge_l_recall(given, answer)
        values = {"name_recall": points}
    else:
        points = answer_scores.rouge_l_recall(given, answer)
        values = {"rouge_recall": points, "rouge_l": answer_scores.rouge(given, answer)["rouge_l"]}
    return {
        **values,
        "answer_score": points,
        "clustered_score": {"score": points, "person": document["person"]},
        "skipped": {"leaf": document["skipped"], "here": 0},
        # Not "score": of dictionaries that hold one the harness takes a standard error, here of a count.
        "scored": {**account(document, response, edit), "points": points},
    }


def read_sample(line: Mapping[str, Any], has_picture: bool) -> Sample:
    """A line of the samples file, in which the harness keeps what `score_answer` gave."""
    scored = line["scored"]
    place = f"{scored['config']}/{scored['row']}"
    scores: dict[str, Score] = {name: (float(line[key]), 1.0) for key, name in _METRICS_OF_KEYS.items() if key in line}
    if "unparsed" in line:
        scores["unparsed"] = (100.0 * line["unparsed"], 1.0)
    if scored.get(LOG_TRUTH_RATIO) is not None:
        scores[LOG_TRUTH_RATIO] = (float(scored[LOG_TRUTH_RATIO]), 1.0)
    return Sample(
        key=f"{place}/{scored['about']}" if scored["about"] else place,
        person=str(scored["person"]),
        question=text_of(scored["question"]),
        target=text_of(scored["target"]),
        response=text_of(scored["response"]),
        scores=scores,
        picture=place if has_picture else "",
        edit=scored.get("edit"),
    )
