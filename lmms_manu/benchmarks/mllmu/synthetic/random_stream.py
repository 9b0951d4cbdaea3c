"""Random draws that are the same on every machine and Python version."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class RandomStream:
    """A named stream of draws.

    Only `random.Random.random` is used, the one generator whose numbers Python promises to keep; everything else is
    built on it here. Streams of different names are independent, so that adding a draw to one leaves the others as
    they are.

    Args:
        seed: the seed that all streams of a dataset share.
        *names: what the stream is for, such as `"picture", 17`.
    """

    def __init__(self, seed: int, *names: object) -> None:
        self._random = random.Random("/".join(map(str, (seed, *names))))

    def number(self, low: float, high: float) -> float:
        """A number from [low, high)."""
        return low + (high - low) * self._random.random()

    def index(self, count: int) -> int:
        """A whole number from 0 to count - 1."""
        return int(self._random.random() * count)

    def one(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return items[self.index(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All of `items` in random order."""
        result = list(items)
        for last in range(len(result) - 1, 0, -1):
            other = self.index(last + 1)
            result[last], result[other] = result[other], result[last]
        return result

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different ones of `items`, in random order."""
        return self.shuffled(items)[:count]
