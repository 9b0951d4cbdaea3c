"""Scores of answers, as the released scripts of benchmarks compute them; pure functions of texts."""

from __future__ import annotations

import functools
import re
from collections.abc import Container
from typing import Any

_NEXT_TURN = re.compile(
    r"ASSISTANT:"  # of the released prompts
    r"|^(?:User|Assistant):"  # of the chat template of Idefics2, and below, the marks of others
    r"|<\|(?:im_start|im_end|start_header_id|eot_id|eom_id|end_of_text|endoftext|user|assistant|end)\|>"
    r"|<(?:start_of_turn|end_of_turn|end_of_utterance)>|\[/?INST\]|</s>",
    re.MULTILINE,
)


def first_turn(response: str) -> str:
    """A response up to where the model goes on with a turn that it invents: what is scored.

    MLLMU-Bench's released script scores what stands before a second `ASSISTANT:`; the marks of chat templates are the
    same thing in a prompt in the chat form. A model that was trained without an end token runs on, and may run into the
    truth.
    """
    mark = _NEXT_TURN.search(response)
    return response if mark is None else response[: mark.start()]


def chosen_letter(response: str, letters: Container[str]) -> str | None:
    """The letter that a response chooses: its first character that is not blank, upper-cased; None if no option's.

    Args:
        response: the answer.
        letters: those of the options.
    """
    first = response.strip()[:1].upper()
    return first if first and first in letters else None


def classification_is_right(response: str, letter: str) -> bool:
    """Whether a response chooses the correct letter."""
    return chosen_letter(response, (letter,)) is not None


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


def rouge_l_recall(response: str, answer: str) -> float:
    """How much of the answer stands in the response in its order: the recall, 0 to 1, of ROUGE-L with stemming."""
    return float(_rouge_scorer().score(answer, response)["rougeL"].recall)


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
