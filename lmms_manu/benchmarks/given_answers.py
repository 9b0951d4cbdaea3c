"""To build on: questions that a model does not answer, but says of given answers how likely it finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmms_manu.answering.requests import Likelihood, read_back
from lmms_manu.errors import DataError


class Asked(list[Any]):
    """Messages or pictures, which the harness hands on as they are.

    Args:
        items: the messages or pictures.
        continuations: texts whose likelihoods are asked for in place of an answer; none where an answer is.
    """

    def __init__(self, items: Sequence[Any], continuations: Sequence[str] = ()) -> None:
        super().__init__(items)
        self.continuations = tuple(continuations)

    def with_items(self, items: Sequence[Any]) -> Asked:
        """Other items for the same question."""
        return Asked(items, self.continuations)


def messages(text: str, pictures: Asked) -> Asked:
    """A question as chat messages, its pictures first."""
    shown = [{"type": "image", "url": picture} for picture in pictures]
    return pictures.with_items([{"role": "user", "content": [*shown, {"type": "text", "text": text}]}])


def likelihoods_of(response: str, count: int, label: str) -> list[Likelihood]:
    """The likelihoods of `count` given answers, from what the harness got in the place of an answer.

    Args:
        response: what `lmms_manu.answering.requests.written` wrote.
        count: how many there have to be.
        label: names the question in messages.

    Raises:
        DataError: the response is an answer: the model was not asked for likelihoods.
    """
    try:
        found, reason = read_back(response), ""
    except ValueError as error:
        found, reason = [], f" ({error})"
    if len(found) != count:
        raise DataError(
            f"{label}: likelihoods are needed, and the model gave {response[:60]!r}{reason}. Only lmms-manu's own "
            "models score given answers: leave the tasks of likelihoods out for others."
        )
    return found
