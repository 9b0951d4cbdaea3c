"""Results that arrive after the harness has taken them: dictionaries that a worker fills."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from tqdm import tqdm


class Deferred(dict[str, Any]):
    """A dictionary whose content comes from a future.

    The harness scores its answers one by one and keeps what it is given. To ask a judge about many answers at a time,
    an answer's score is given as one of these; it is filled at the latest when it is aggregated, or when it is sent
    to another process.

    Args:
        future: what is waited for; it must not raise.
        render: turns the future's result into the content.
    """

    def __init__(self, future: Future[Any], render: Callable[[Any], Mapping[str, Any]]) -> None:
        super().__init__()
        self._future: Future[Any] | None = future
        self._render = render

    def settle(self) -> None:
        """Waits for the content."""
        if self._future is not None:
            self.update(self._render(self._future.result()))
            self._future = None

    def __reduce__(self) -> tuple[Any, ...]:
        self.settle()
        return dict, (dict(self),)


def settle(items: Iterable[Any], description: str) -> None:
    """Waits for all that is pending among the `items`, with a progress bar."""
    pending = [item for item in items if isinstance(item, Deferred) and item._future is not None]
    for item in tqdm(pending, desc=description, disable=all(item._future.done() for item in pending)):  # type: ignore[union-attr]
        item.settle()
