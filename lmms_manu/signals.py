"""Being told to end, as an exception that lets a program put things in order first."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import NoReturn

# What clusters send to end a job, and what a terminal sends when it closes, where there is such a signal.
_SIGNALS = {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}


@contextlib.contextmanager
def termination_as_exit() -> Iterator[None]:
    """Lets a signal to end unwind the stack as an interrupt does, unless someone handles or ignores it.

    Only Python's main thread can do so; in any other nothing changes.
    """
    main = threading.current_thread() is threading.main_thread()
    ours = [number for number in _SIGNALS if main and signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _exit)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _exit(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)
