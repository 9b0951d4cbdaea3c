"""The scores of the benchmark as its released script computes them; pure functions of texts."""

from __future__ import annotations

import functools
from typing import Any

from lmms_manu.mllmu.prompts import LETTERS


def chosen_letter(response: str) -> str | None:
    """The letter that a response chooses: its first character that is not blank, upper-cased; None if no letter."""
    first = response.strip()[:1].upper()
    return first if first in LETTERS else None


def classification_is_right(response: str, letter: str) -> bool:
    """Whether a response chooses the correct letter."""
    return chosen_letter(response) == letter


def cloze_is_right(response: str, answer: str) -> bool:
    """Whether the answer stands anywhere in the response, in any case of letters."""
    return answer.lower() in response.lower()


def rouge(response: str, answer: str) -> dict[str, float]:
    """The F-measures, 0 to 1, of ROUGE-1, ROUGE-2 and ROUGE-L with stemming, by the package rouge-score."""
    scores = _rouge_scorer().score(answer, response)
    return {
        "rouge_1": scores["rouge1"].fmeasure,
        "rouge_2": scores["rouge2"].fmeasure,
        "rouge_l": scores["rougeL"].fmeasure,
    }


def bleu(response: str, answer: str) -> float:
    """Sentence BLEU, 0 to 1, of texts split at blanks, with NLTK's smoothing method 1."""
    # NLTK takes a second to import, and only generation needs it.
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    return float(sentence_bleu([answer.split()], response.split(), smoothing_function=SmoothingFunction().method1))


@functools.cache
def _rouge_scorer() -> Any:
    # As for NLTK.
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
