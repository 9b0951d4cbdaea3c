"""Reads the harness's samples files: what was asked, about whom, what was answered, what it scored."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmms_manu.errors import DataError
from lmms_manu.mllmu.prompts import LETTERS
from lmms_manu.report.metrics import LEAVES, UTILITY_TASKS

Score = tuple[float, float]


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """Where a question's picture is in MLLMU-Bench."""

    config: str
    row: int
    index: int


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One question of one run.

    Args:
        key: what tells the question apart from the others of its task, the same in every run.
        person: the ID of whom it is about; the key itself where a benchmark knows no people; empty if it was left out.
        question: the text that was asked, with its options.
        target: the right answer.
        response: what the model answered.
        scores: for each metric the points and the points possible; a metric without a score is missing.
        picture: its picture, None without one.
        edit: the fingerprint of the mask that the model was pruned with, None for a model as it was.
        unjudged: whether a judge was to score it and did not.
    """

    key: str
    person: str
    question: str
    target: str
    response: str
    scores: Mapping[str, Score]
    picture: Picture | None = None
    edit: str | None = None
    unjudged: bool = False

    @property
    def is_scored(self) -> bool:
        """Whether it counts: a question that was left out for its broken picture tells of nobody and of no edit."""
        return bool(self.person)


def read_samples(path: Path, task: str) -> list[Sample]:
    """The samples of one task, in the order of the file.

    Raises:
        DataError: a line is damaged or a question stands in the file twice.
    """
    samples: list[Sample] = []
    seen: set[str] = set()
    for number, sample in enumerate(_samples(path, task), 1):
        if sample.key in seen:
            raise DataError(f"{path}, line {number}: question {sample.key} stands in the file twice.")
        seen.add(sample.key)
        samples.append(sample)
    return samples


def first_scored(path: Path, task: str) -> Sample | None:
    """The first sample of a file that was scored, None if none was; raises as `read_samples` does."""
    return next((sample for sample in _samples(path, task) if sample.is_scored), None)


def _samples(path: Path, task: str) -> Iterator[Sample]:
    # In bytes, so that a line that is not UTF-8 is told with its number, as other damage is.
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            yield _parsed(line, task, f"{path}, line {number}")


def _parsed(line: bytes, task: str, where: str) -> Sample:
    try:
        content = json.loads(line)
        sample = _mllmu_sample(content) if task in LEAVES else _other_sample(content, task)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise DataError(f"{where}: not a sample of {task} ({error!r}).") from None
    for metric, score in sample.scores.items():
        if not all(map(math.isfinite, score)):
            raise DataError(f"{where}: {metric} is {score[0]}, which is no score: evaluate {task} again.")
    return sample


def _mllmu_sample(line: Mapping[str, Any]) -> Sample:
    scored = line.get("scored")
    if not scored:
        # A question that was skipped when its picture turned out broken: asked, but not scored.
        return Sample(f"document {line['doc_id']}", "", "", _text(line.get("target")), "", {})
    scores: dict[str, Score] = {}
    for metric in ("classification_accuracy", "rouge_l", "cloze_accuracy"):
        if metric in line:
            scores[_REPORTED[metric]] = (float(line[metric]), 1.0)
    if "unparsed" in line:
        scores["unparsed"] = (100.0 * line["unparsed"], 1.0)
    if "score" in line.get("factuality", {}):
        scores["factuality"] = (float(line["factuality"]["score"]), 1.0)
    if "not_judged" in line:
        scores["not_judged"] = (100.0 * line["not_judged"]["count"], 1.0)
    picture = scored.get("picture")
    options = [f"{letter}: {option}" for letter, option in zip(LETTERS, scored.get("options") or [], strict=False)]
    return Sample(
        key=f"{scored['person']}/{scored['number']}",
        person=str(scored["person"]),
        question="\n".join([_text(scored["question"]), *options]),
        target=_text(scored["target"]),
        response=_text(scored["response"]),
        scores=scores,
        picture=Picture(picture["config"], picture["row"], picture["index"]) if picture else None,
        edit=scored.get("edit"),
        unjudged=bool(line.get("not_judged", {}).get("unreachable")),
    )


_REPORTED = {"classification_accuracy": "classification", "rouge_l": "rouge_l", "cloze_accuracy": "cloze"}


def _other_sample(line: Mapping[str, Any], task: str) -> Sample:
    key = str(line["doc_id"])
    metric = UTILITY_TASKS.get(task)
    entry = line.get(metric.key) if metric else None
    score, unjudged = _utility_score(entry if isinstance(entry, Mapping) else {}, task)
    return Sample(
        key=key,
        person=key,
        question=_text(line.get("input")),
        target=_text(line.get("target")),
        response=_text(line.get("filtered_resps")),
        scores={metric.name: score} if metric and score else {},
        unjudged=unjudged,
    )


def _utility_score(entry: Mapping[str, Any], task: str) -> tuple[Score | None, bool]:
    """The points of a general benchmark's answer, and whether its judge failed."""
    if task == "llava_in_the_wild" and "scores" in entry:
        # The benchmark's number is the ratio of the sums of both scores, the model's to the reference's.
        reference, model = entry["scores"]
        return (100.0 * model, float(reference)), min(reference, model) < 0
    if task == "mmvet" and "score" in entry:
        return (100.0 * entry["score"], 1.0), not entry.get("eval_model")
    if task == "mia_bench" and "total_score" in entry:
        # Its failed judgements are all zeros, and so is the very worst answer.
        return (100.0 * entry["total_score"], 1.0), not any(entry.values())
    if task == "mmstar" and "score" in entry:
        return (100.0 * entry["score"], 1.0), False
    return None, False


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    return "" if value is None else str(value)
