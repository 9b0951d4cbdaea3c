"""What a leaf reports: the scores of each answer, and the accounts that show how much of the leaf they stand for.

`score_answer` gives what the harness keeps for each sample and `read_sample` reads it back from the samples file; the
other functions turn a leaf's samples into its numbers.
Every key is a metric with an aggregation, because the harness lists a key without one as an empty metric.

- `scored`: for each sample what was asked, answered and right, and of whom; for the leaf how many answers count.
- `skipped`: questions left out as unusable, for the leaf.
- `answer_score`: the points of each answer, 0 to 1, which the harness's paired comparison with a `--baseline` reads.
- `clustered_score`: the same with the person, over whom the harness clusters its standard error. Two metrics, because
  the comparison reads numbers and the clustering dictionaries.
- `unparsed`: answers to multiple-choice questions that choose no letter.
- `not_judged`: answers that the judge was asked about in vain.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmms_manu.benchmarks import answer_scores
from lmms_manu.benchmarks.aggregations import Account
from lmms_manu.benchmarks.mllmu.deferred import Deferred, settle
from lmms_manu.benchmarks.mllmu.judge_settings import JudgeSettings
from lmms_manu.benchmarks.mllmu.prompts import LETTERS
from lmms_manu.benchmarks.mllmu.questions import LEAVES, NO_PICTURE
from lmms_manu.benchmarks.mllmu.rubric import Verdict
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.benchmarks.sample import Sample, Score, prompt_tokens_of, text_of

if TYPE_CHECKING:  # openai, which takes a second to import, and which only a configured judge needs
    from lmms_manu.benchmarks.mllmu.judge import NotJudged

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]

_METRICS_OF_KEYS = {
    "classification_accuracy": "classification",
    "rouge_l": "rouge_l",
    "bleu": "bleu",
    "cloze_accuracy": "cloze",
}
"""What reports call the scores that are one number."""

_SCORED_BY_TEXT: Mapping[str, Callable[[str, str], float]] = {
    "rouge_l": lambda given, answer: answer_scores.rouge(given, answer)["rouge_l"],
    "cloze": lambda given, answer: 100.0 * answer_scores.cloze_is_right(given, answer),
}
"""The scores, as shown, that an answer of somebody else may have by coincidence."""

_OTHERS = 20
"""About so many other people's answers are scored for each question."""


def score_answer(document: Document, response: str, edit: str | None = None) -> dict[str, Any]:
    """The scores of one answer: accuracies in percent, ROUGE and BLEU from 0 to 1, factuality from 1 to 10.

    A configured judge is asked without waiting for it; its verdict is there when the leaf is aggregated.

    Args:
        document: the question, a row of `questions.DOCUMENT_FEATURES`.
        response: what the model answered; the turns that it invents after its answer are kept, but not scored.
        edit: the fingerprint of the mask that the model was pruned with, None for a model as it was.

    Returns:
        Values by metric. A question whose picture turned out broken while it was asked is skipped, and has no scores.
    """
    leaf = LEAVES[document["leaf"]]
    if picture_is_broken(document):
        return {"skipped": {"leaf": document["skipped"], "here": 1}}
    answer, given = document["answer"], answer_scores.first_turn(response)
    values: dict[str, Any] = {}
    if leaf.task == "classification":
        right = answer_scores.classification_is_right(given, answer)
        is_unparsed = answer_scores.chosen_letter(given, LETTERS) is None
        values = {"classification_accuracy": 100.0 * right, "unparsed": int(is_unparsed)}
        points = float(right)
    elif leaf.task == "cloze":
        right = answer_scores.cloze_is_right(given, answer)
        values = {"cloze_accuracy": 100.0 * right}
        points = float(right)
    else:
        values = {**answer_scores.rouge(given, answer), "bleu": answer_scores.bleu(given, answer)}
        values |= _judged(document["question"], answer, given)
        points = values["rouge_l"]
    return {
        **values,
        "answer_score": points,
        "clustered_score": {"score": points, "person": document["person"]},
        "skipped": {"leaf": document["skipped"], "here": 0},
        # Not "score": of dictionaries that hold one the harness takes a standard error, here of a count.
        "scored": {**account(document, response, answer, edit), "points": points},
    }


def account(document: Document, response: str, target: str, edit: str | None) -> dict[str, Any]:
    """What was asked and answered, and of whom, for readers of the samples file."""
    return {
        "person": document["person"],
        "number": document["number"],
        "question": document["question"],
        "options": list(document["options"]),
        "response": response,
        "target": target,
        "exemplars": list(document["exemplars"]),
        "picture": _picture(document),
        "edit": edit,
    }


def scores_of_others(metric: str, asked: Sequence[Sample], others: Sequence[Sample]) -> list[float] | None:
    """What right answers about others to the question of the same number score, on average over those others.

    Args:
        metric: what reports call it.
        asked: the questions to be scored.
        others: questions about other people, with the right answers.

    Returns:
        A score for each of `asked`; None for a metric that has a constant floor, or if an answer has no match.
    """
    score = _SCORED_BY_TEXT.get(metric)
    if score is None:
        return None
    answers: dict[str, list[str]] = collections.defaultdict(list)
    for other in others:
        answers[_number(other)].append(other.target)
    if not all(answers.get(_number(sample)) for sample in asked):
        return None
    # Spread over all of the others, since their order may mean something.
    chosen = {number: given[:: max(1, len(given) // _OTHERS)] for number, given in answers.items()}
    return [statistics.fmean(score(answer, sample.target) for answer in chosen[_number(sample)]) for sample in asked]


def _number(sample: Sample) -> str:
    """The number of a question among those about its person."""
    return sample.key.rpartition("/")[2]


def read_sample(line: Mapping[str, Any]) -> Sample:
    """A line of the samples file, in which the harness keeps what `score_answer` gave."""
    scored = line.get("scored")
    if not scored:
        # A question that was skipped when its picture turned out broken: asked, but not scored.
        return Sample(f"document {line['doc_id']}", "", "", text_of(line.get("target")), "", {})
    points: dict[str, Score] = {
        metric: (float(line[key]), 1.0) for key, metric in _METRICS_OF_KEYS.items() if key in line
    }
    if "unparsed" in line:
        points["unparsed"] = (100.0 * line["unparsed"], 1.0)
    if "score" in line.get("factuality", {}):
        points["factuality"] = (float(line["factuality"]["score"]), 1.0)
    if "not_judged" in line:
        points["not_judged"] = (100.0 * line["not_judged"]["count"], 1.0)
    picture = scored.get("picture")
    options = [f"{letter}: {option}" for letter, option in zip(LETTERS, scored.get("options") or [], strict=False)]
    return Sample(
        key=f"{scored['person']}/{scored['number']}",
        person=str(scored["person"]),
        question="\n".join([text_of(scored["question"]), *options]),
        target=text_of(scored["target"]),
        response=text_of(scored["response"]),
        scores=points,
        picture=f"{picture['config']}/{picture['row']}/{picture['index']}" if picture else "",
        edit=scored.get("edit"),
        unjudged=bool(line.get("not_judged", {}).get("unreachable")),
        prompt_tokens=prompt_tokens_of(line),
    )


def mean_of_judged(items: Sequence[Mapping[str, Any]]) -> float | None:
    """The mean factuality of the answers that were judged; None if none was."""
    settle(items, "Judging")
    judged = [item["score"] for item in items if "score" in item]
    return sum(judged) / len(judged) if judged else None


def count_not_judged(items: Sequence[Mapping[str, Any]]) -> int:
    """How many answers the judge was asked about in vain; says why."""
    settle(items, "Judging")
    reasons = collections.Counter(item["reason"] for item in items if item["count"])
    if reasons:
        listed = "\n".join(f"  {times} x {reason}" for reason, times in reasons.most_common(5))
        logger.warning("Factuality: %d of %d answers not judged.\n%s", reasons.total(), len(items), listed)
    return Account(reasons.total())


def _judged(question: str, reference: str, response: str) -> dict[str, Mapping[str, Any]]:
    """What `factuality` and `not_judged` keep of an answer."""
    settings = JudgeSettings.from_environment()
    if settings is None:
        return {"factuality": {}, "not_judged": {"count": 0}}
    # See above.
    from lmms_manu.benchmarks.mllmu.judge import judge

    verdict = judge(settings).ask(question, reference, response)
    return {"factuality": Deferred(verdict, _factuality), "not_judged": Deferred(verdict, _not_judged)}


def _factuality(verdict: Verdict | NotJudged) -> dict[str, Any]:
    return {"reason": verdict.reason, **({"score": verdict.score} if isinstance(verdict, Verdict) else {})}


def _not_judged(verdict: Verdict | NotJudged) -> dict[str, Any]:
    return {"count": 0} if isinstance(verdict, Verdict) else {"count": 1, **dataclasses.asdict(verdict)}


def picture_is_broken(document: Document) -> bool:
    """Whether a question is to be skipped because its picture turned out broken when it was asked for."""
    if document["picture"] == NO_PICTURE:
        return False
    return not DatasetSource(document["dataset"]).decodes(document["config"], document["row"], document["picture"])


def _picture(document: Document) -> dict[str, Any] | None:
    """Where the picture is, for readers of the samples file."""
    if document["picture"] == NO_PICTURE:
        return None
    return {"config": document["config"], "row": document["row"], "index": document["picture"]}
