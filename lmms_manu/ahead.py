"""Making what is needed next in another thread, while what is there is being used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


class _OneAhead(Sequence[Made], Generic[Item, Made]):
    """What `one_ahead` yields."""

    def __init__(self, make: Callable[[Item], Made], items: Sequence[Item], pool: ThreadPoolExecutor) -> None:
        self._make = make
        self._items = items
        self._pool = pool
        self._next: tuple[int, Future[Made]] | None = None

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: int) -> Made:  # type: ignore[override]  # no slices: there is one at a time
        ready, self._next = self._next, None
        own = ready[1] if ready is not None and ready[0] == place else self._pool.submit(self._make, self._items[place])
        if place + 1 < len(self._items):
            self._next = (place + 1, self._pool.submit(self._make, self._items[place + 1]))
        return own.result()


@contextmanager
def one_ahead(make: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Sequence[Made]]:
    """Yields what is made of each item, made when it is asked for, and the one behind it in a thread meanwhile.

    All is made in that one thread, so that `make` need not be safe to be called twice at once; and no more than one
    waits to be taken, however many there are. What fails raises its own error where it is asked for.

    Args:
        make: must not use what the caller uses at the same time.
        items: what to make it of, in the order in which it will be asked for.
    """
    with ThreadPoolExecutor(1) as pool:
        try:
            yield _OneAhead(make, items, pool)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
