"""How far a long evaluation is: what is done of all, about how many seconds are left, and what runs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from tqdm import tqdm


class Progress:
    """A bar in a terminal; elsewhere a line on standard error as each part begins.

    Args:
        total: how many parts there are.
        say: takes the line of each part that has ended.
        unit: what a part is called.
        bar: whether there may be a bar; it does not go with the harness's own output.
    """

    def __init__(self, total: int, say: Callable[[str], None], *, unit: str = "parts", bar: bool = True) -> None:
        self._say = say
        self._total, self._done, self._took_time = total, 0, 0
        self._running: dict[str, None] = {}
        self._started = time.monotonic()
        self._lock = threading.Lock()
        # None: none where standard error is no terminal.
        self._bar = tqdm(total=total, unit=f" {unit}", disable=None if bar else True, leave=False, dynamic_ncols=True)

    def begin(self, name: str) -> None:
        """A part begins."""
        with self._lock:
            self._running[name] = None
            if self._bar.disable:
                number = self._done + len(self._running)
                print(f"{name}: {number} of {self._total} is running{self._left()}", file=sys.stderr, flush=True)
            self._show()

    def end(self, name: str, told: str) -> None:
        """A part has ended, or was done before; `told` is what there is to say of it."""
        with self._lock:
            self._took_time += name in self._running
            self._running.pop(name, None)
            self._done += 1
            self._bar.clear()
            self._say(f"{name}: {told}")
            self._bar.update()
            self._show()
            if self._done == self._total:
                self._bar.close()

    def _show(self) -> None:
        self._bar.set_postfix_str(" + ".join(self._running))

    def _left(self) -> str:
        """About how long the rest takes, at the pace so far; empty before there is one."""
        if not self._took_time:
            return ""
        seconds = (time.monotonic() - self._started) / self._took_time * (self._total - self._done)
        return f", about {seconds:.0f} s are left"
