"""What a model answers under the released protocol, measured directly: the check on the tiny model's training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from lmms_manu.benchmarks.answer_scores import classification_is_right, cloze_is_right, rouge
from lmms_manu.benchmarks.mllmu import prompt_building
from lmms_manu.benchmarks.mllmu.exemplars import ProtocolSettings
from lmms_manu.benchmarks.mllmu.names import SPLITS, TASKS, leaves
from lmms_manu.benchmarks.mllmu.prompts import Prompt
from lmms_manu.benchmarks.mllmu.questions import load_questions
from lmms_manu.benchmarks.mllmu.source import DatasetSource

_NEW_TOKENS = {"classification": 4, "cloze": 12, "generation": 30}
_SCORES: dict[str, Callable[[str, str], float]] = {
    "classification": classification_is_right,
    "cloze": cloze_is_right,
    "generation": lambda answer, truth: rouge(answer, truth)["rouge_l"],
}


@dataclasses.dataclass(frozen=True)
class Mark:
    """A result of the exam.

    Args:
        split, task, modality: what was asked.
        questions: how many questions were scored.
        score: percent right (classification, cloze), or ROUGE-L from 0 to 1 (generation).
        margin: half the width of the score's 95 % interval, in the same unit: twice the standard error of a mean over
            people, each of whom was asked several questions.
    """

    split: str
    task: str
    modality: str
    questions: int
    score: float
    margin: float

    def __str__(self) -> str:
        score = f"{self.score:.3f}" if self.task == "generation" else f"{self.score:5.1f} %"
        return f"{self.split:10}{self.task:15}{self.modality:11}{self.questions:5}  {score} +- {self.margin:.3g}"


def examine(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    source: DatasetSource,
    ratio: int,
    splits: Sequence[str] = SPLITS,
    tasks: Sequence[str] = TASKS,
    settings: ProtocolSettings | None = None,
    batch_size: int = 64,
) -> Iterator[Mark]:
    """Asks every question of the `splits` and `tasks` at a forget `ratio`, and marks the answers.

    The exemplars are those of the `settings`, of the released protocol if left out.

    It answers by the model's own `generate`, greedily, and by nothing else of this package: what the harness reports
    for the model can be held against it.
    """
    for leaf in leaves():
        if leaf.split not in splits or leaf.task not in tasks or leaf.ratio not in (None, ratio):
            continue
        documents = load_questions(leaf, source, settings or ProtocolSettings()).documents.to_list()
        documents.sort(key=lambda document: len(document["question"]))
        scores: list[float] = []
        for start in range(0, len(documents), batch_size):
            batch = documents[start : start + batch_size]
            answers = _answer(
                model, processor, [prompt_building.pictures(document).prompt for document in batch], leaf.task
            )
            scores += [_SCORES[leaf.task](text, asked["answer"]) for text, asked in zip(answers, batch, strict=True)]
        unit = 1 if leaf.task == "generation" else 100
        margin = _margin(scores, [document["person"] for document in documents])
        score = sum(scores) / len(scores)
        yield Mark(leaf.split, leaf.task, leaf.modality, len(scores), unit * score, unit * margin)


def _margin(scores: Sequence[float], people: Sequence[str]) -> float:
    mean = sum(scores) / len(scores)
    deviations: dict[str, float] = {}
    for score, person in zip(scores, people, strict=True):
        deviations[person] = deviations.get(person, 0.0) + score - mean
    return 2 * math.hypot(*deviations.values()) / len(scores)


@torch.inference_mode()
def _answer(model: Any, processor: LlavaProcessor, prompts: Sequence[Prompt], task: str) -> list[str]:
    pictures = [picture for prompt in prompts for picture in prompt.pictures]
    images = {"images": pictures} if pictures else {}
    texts = [prompt.released for prompt in prompts]
    inputs = processor(text=texts, padding=True, padding_side="left", return_tensors="pt", **images)
    written = model.generate(**inputs, max_new_tokens=_NEW_TOKENS[task], do_sample=False)
    answers: list[str] = processor.batch_decode(written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return answers
