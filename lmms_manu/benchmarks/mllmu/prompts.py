"""The benchmark's prompts in both renderings: the released script's strings to the byte, and turns of a conversation.

A prompt is text with one `IMAGE` marker for each picture, in order. Source: MLLMU-Bench (arXiv 2410.22108), its
released evaluation script; the fine-tuning prompt is that of the released vanilla models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from lmms_manu.benchmarks.mllmu.names import TASKS
from lmms_manu.errors import one_of
from lmms_manu.names import MODALITIES

IMAGE = "<image>"
LETTERS = ("A", "B", "C", "D")

_ONE_LETTER = "Just give ONE letter representing the answer directly."
_FILL_BLANK = "Please **ONLY** provide the correct answer that should replace the [Blank]."
_ONE_SENTENCE = {
    "multimodal": "Answer the question based on your trained knowledge in one sentence accurately in ENGLISH.",
    "text": "Answer the question based on your trained knowledge in one sentence in ENGLISH.",
}


def instruction(task: str, modality: str, question: str, options: Mapping[str, str] | None = None) -> str:
    """What a question asks, without the marks of who speaks: the words that both renderings share.

    Args:
        task: one of `TASKS`.
        modality: one of `MODALITIES`.
        question: the question as it stands in the dataset.
        options: the text of each of `LETTERS`; classification only.
    """
    _check(task, modality)
    if task == "classification":
        return f"{question}\n{_option_lines(options or {})}\n{_ONE_LETTER}"
    if task == "cloze":
        return _cloze_question(question)
    return f"{question}\n{_ONE_SENTENCE[modality]}"


def released_question(task: str, modality: str, question: str, options: Mapping[str, str] | None = None) -> str:
    """The question as the released script puts it, after the exemplars' shots; arguments as in `instruction`."""
    body = instruction(task, modality, question, options)
    if task == "generation":
        # The released script ends the multimodal prompt in a blank, and it alone.
        return f"USER: {IMAGE}\n{body}\nASSISTANT: " if modality == "multimodal" else f"USER: {body}\nASSISTANT:"
    speaker = f"USER: {IMAGE}\n" if modality == "multimodal" else "USER:\n"
    return f"{speaker}{body}\nASSISTANT:"


def released_shot(
    task: str, modality: str, question: str, answer: str, options: Mapping[str, str] | None = None
) -> str:
    """One exemplar's question and answer as the released script puts them; generation has no shots.

    Args:
        answer: the correct letter (classification) or the text that fills the blank (cloze).

    Raises:
        SettingError: the task has no shots.
    """
    _check(task, modality)
    if task == "classification":
        speaker = f"USER: {IMAGE}\n" if modality == "multimodal" else "USER:\n"
        return f"{speaker}Question: {question}\n{_option_lines(options or {})}\nCorrect Answer: {answer}\n"
    if task == "cloze":
        speaker = f"USER:{IMAGE}\n" if modality == "multimodal" else "USER:\n"
        return f"{speaker}{_cloze_question(question)}\nCorrect Answer: {answer}\n"
    raise one_of("task of a shot", task, ("classification", "cloze"))


def fine_tuning_prompt(question: str, modality: str) -> str:
    """The prompt of the released fine-tuning up to the answer, which follows after a blank (`" " + answer`)."""
    if modality not in MODALITIES:
        raise one_of("modality", modality, MODALITIES)
    return f"USER: {IMAGE}\n{question}\nASSISTANT:" if modality == "multimodal" else f"USER: {question}\nASSISTANT:"


def user_turn(text: str, pictures: Sequence[Any] = ()) -> dict[str, Any]:
    """A chat message of the user: the pictures, then the text."""
    content = [{"type": "image", "url": picture} for picture in pictures]
    return {"role": "user", "content": [*content, {"type": "text", "text": text}]}


def assistant_turn(text: str) -> dict[str, Any]:
    """A chat message of the model."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A question in the released rendering, and what a model may want to know about it.

    Args:
        released: the released prompt, one `IMAGE` marker for each picture.
        shared_prefix: the exemplars' part of `released`, the same for every question of the leaf; may be empty.
        pictures: the PIL pictures in the order of the markers, the exemplars' first.
        forget_ratio: the ratio whose people are asked about, None where the split has none (celebrity).
        first_character_only: the score reads the first character of the answer that is not blank, and no more: a
            model may stop as soon as it has written it.
        label: where the question comes from, for messages.
        advice: what to lower when the prompt does not fit a model's context.
        continuations: texts whose likelihoods are asked for in place of an answer; none where an answer is.
    """

    released: str
    shared_prefix: str = ""
    pictures: tuple[Any, ...] = ()
    forget_ratio: int | None = None
    first_character_only: bool = False
    label: str = ""
    advice: str = ""
    continuations: tuple[str, ...] = ()


class PromptList(list[Any]):
    """A list that the harness hands on as it is, with the attributes of the `Prompt` it belongs to."""

    def __init__(self, items: Sequence[Any], prompt: Prompt) -> None:
        super().__init__(items)
        self.prompt = prompt

    def with_items(self, items: Sequence[Any]) -> PromptList:
        """Another list that belongs to the same prompt."""
        return PromptList(items, self.prompt)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "prompt":
            raise AttributeError(name)
        return getattr(self.prompt, name)


class Conversation(PromptList):
    """Chat messages, the exemplars as turns; `.released`, `.pictures` and so on are those of its `Prompt`.

    This is what `doc_to_messages` of every MLLMU task returns. Any chat wrapper can use it as the plain list that it
    is; a model that renders `prompt=released` uses `.released` with `.pictures`.
    """


class Pictures(PromptList):
    """The pictures of a prompt, with the attributes of its `Prompt`: what `doc_to_visual` returns."""


def _cloze_question(question: str) -> str:
    return f"{question.replace('__', '[Blank]')}\n{_FILL_BLANK}"


def _option_lines(options: Mapping[str, str]) -> str:
    return "\n".join(f"{letter}: {options[letter]}" for letter in LETTERS)


def _check(task: str, modality: str) -> None:
    if task not in TASKS:
        raise one_of("task", task, TASKS)
    if modality not in MODALITIES:
        raise one_of("modality", modality, MODALITIES)
