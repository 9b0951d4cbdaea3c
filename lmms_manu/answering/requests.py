"""What the engine is asked, and what it gives back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from PIL import Image

from lmms_manu.answering.generation import Generation

PictureSource = Callable[[], Sequence[Image.Image]]


@dataclasses.dataclass(frozen=True)
class PromptRequest:
    """A prompt to be answered.

    Args:
        text: the rendered prompt, with the model's own placeholders.
        pictures: opens the pictures in the order of the placeholders; may be called more than once, so that not
            all pictures of a benchmark have to lie in memory.
        generation: how the answer is generated.
        group: prompts of one group may begin alike; a task's name.
        label: names the prompt in messages, such as "mmstar, document 12".
        advice: what a user can lower when the prompt is longer than the context.
    """

    text: str
    pictures: PictureSource
    generation: Generation
    group: str = ""
    label: str = "a prompt"
    advice: str = ""


@dataclasses.dataclass(frozen=True)
class ContinuationRequest:
    """A prompt and a text that might follow it; `text`, `pictures`, `label` and `advice` as in `PromptRequest`."""

    text: str
    continuation: str
    pictures: PictureSource
    label: str = "a prompt"
    advice: str = ""


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer and what it cost.

    Args:
        text: the answer, without special tokens and without the stop text.
        prompt_tokens: the length of the prompt, pictures included.
        new_tokens: the number of tokens generated, the one that ended the answer included.
    """

    text: str
    prompt_tokens: int
    new_tokens: int


@dataclasses.dataclass(frozen=True)
class Likelihood:
    """How likely a continuation is.

    Args:
        log_probability: the sum over its tokens.
        tokens: the number of its tokens.
        greedy: whether each of its tokens is the likeliest one at its place.
    """

    log_probability: float
    tokens: int
    greedy: bool
