"""What the engine is asked, and what it gives back."""

from __future__ import annotations

import dataclasses
import json
import math
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
        continuations: texts whose likelihoods are asked for in place of an answer; none where an answer is.
    """

    text: str
    pictures: PictureSource
    generation: Generation
    group: str = ""
    label: str = "a prompt"
    advice: str = ""
    continuations: tuple[str, ...] = ()

    def scored(self) -> ContinuationRequest:
        """The request for the likelihoods of the continuations."""
        # The released prompts of some questions end in a blank of their own.
        blank = "" if self.text[-1:].isspace() else " "
        texts = tuple(f"{blank}{text}" for text in self.continuations)
        group = self.group if len(texts) == 1 else ""
        return ContinuationRequest(self.text, texts, self.pictures, self.label, self.advice, group)


@dataclasses.dataclass(frozen=True)
class ContinuationRequest:
    """A prompt and texts that might follow it; `text`, `pictures`, `group`, `label` and `advice` as in `PromptRequest`.

    Args:
        continuations: the texts, each scored by itself.
    """

    text: str
    continuations: tuple[str, ...]
    pictures: PictureSource
    label: str = "a prompt"
    advice: str = ""
    group: str = ""


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
        log_probs: the log-probability of each of its tokens.
        likeliest: whether each of its tokens is the likeliest one at its place.
        means: the expected log-probability of a token that the model draws at each place; empty if nobody asked.
        variances: its variance; empty if nobody asked.
    """

    log_probs: tuple[float, ...]
    likeliest: tuple[bool, ...]
    means: tuple[float, ...] = ()
    variances: tuple[float, ...] = ()

    @property
    def log_probability(self) -> float:
        """The sum over the tokens."""
        return math.fsum(self.log_probs)

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        return len(self.log_probs)

    @property
    def greedy(self) -> bool:
        """Whether greedy decoding would give the continuation."""
        return all(self.likeliest)


def written(likelihoods: Sequence[Likelihood]) -> str:
    """Likelihoods as the text that a harness takes in place of an answer."""
    rows = [
        {"log_probs": [round(each, 6) for each in one.log_probs], "likeliest": list(map(int, one.likeliest))}
        for one in likelihoods
    ]
    return json.dumps(rows)


def read_back(text: str) -> list[Likelihood]:
    """What `written` has written.

    Raises:
        ValueError: the text is something else.
    """
    try:
        found = [
            Likelihood(tuple(map(float, row["log_probs"])), tuple(map(bool, row["likeliest"])))
            for row in json.loads(text)
        ]
    except (TypeError, KeyError) as error:
        raise ValueError(str(error)) from error
    if not all(len(one.log_probs) == len(one.likeliest) > 0 for one in found):
        raise ValueError("a likelihood has no token")
    if not all(math.isfinite(value) for one in found for value in one.log_probs):
        raise ValueError("a log-probability is not a number")
    return found
