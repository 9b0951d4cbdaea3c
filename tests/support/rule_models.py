"""Models of the harness that answer by a rule, to see what tasks ask and how they score; any wrapper could be these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lmms_eval.api.model import lmms

Rule = Callable[[Mapping[str, Any]], str]


def right(document: Mapping[str, Any]) -> str:
    """The right answer."""
    return str(document["answer"])


class _Rule(lmms):  # type: ignore[misc]  # lmms-eval has no types
    def __init__(self, rule: Rule = right) -> None:
        super().__init__()
        self.rule = rule
        self.asked: list[Any] = []
        self.contexts: list[str] = []
        self.generation: list[dict[str, Any]] = []

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        raise NotImplementedError

    def generate_until_multi_round(self, requests: list[Any]) -> list[str]:
        raise NotImplementedError


class ChatRule(_Rule):
    """A chat-type model; `asked` keeps the messages."""

    is_simple = False

    def generate_until(self, requests: list[Any]) -> list[str]:
        answers = []
        for request in requests:
            context, doc_to_messages, generation, number, task, split = request.args
            document = self.task_dict[task][split][number]
            self.contexts.append(context)
            self.generation.append(generation)
            self.asked.append(doc_to_messages(document))
            answers.append(self.rule(document))
        return answers


class SimpleRule(_Rule):
    """A model of the simple kind; `asked` keeps the pictures."""

    is_simple = True

    def generate_until(self, requests: list[Any]) -> list[str]:
        answers = []
        for request in requests:
            context, generation, doc_to_visual, number, task, split = request.args
            document = self.task_dict[task][split][number]
            self.contexts.append(context)
            self.generation.append(generation)
            self.asked.append(doc_to_visual(document))
            answers.append(self.rule(document))
        return answers
