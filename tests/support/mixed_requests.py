"""Requests of every kind, to answer in tests."""

from __future__ import annotations

from lmms_manu.answering.generation import Generation
from lmms_manu.answering.requests import PromptRequest
from lmms_manu.benchmarks.stand_ins import picture
from lmms_manu.models.rendering import PromptRenderer

_SHOTS = "".join(f"USER: <image>\nQuestion: who is number {number}?\nCorrect Answer: A\n" for number in range(3))


def mixed_requests(renderer: PromptRenderer, count: int = 12, new_tokens: int = 8) -> list[PromptRequest]:
    """Text only, exemplars with pictures and a question, and two pictures, in turn and of many lengths."""
    return [_request(renderer, number, Generation(max_new_tokens=new_tokens)) for number in range(count)]


def _request(renderer: PromptRenderer, number: int, generation: Generation) -> PromptRequest:
    words = f"question {number * 7919 % 1000}" + " indeed" * (number % 4)
    # Two sizes, so that models whose pictures take tokens by their size have different ones in a batch.
    own = picture(number, (40 + 8 * (number % 2), 32))
    texts, pictures = {
        0: (f"USER: {words}\nASSISTANT:", []),
        1: (f"{_SHOTS}USER: <image>\n{words}\nASSISTANT:", [picture(100), picture(101), picture(102), own]),
        2: (f"USER: <image> and\n<image>{words}\nASSISTANT:", [own, picture(50)]),
    }[number % 3]
    group = ("text", "exemplars", "pairs")[number % 3]
    return PromptRequest(
        renderer.released_text(texts), lambda: pictures, generation, group, f"{group}, document {number}"
    )
