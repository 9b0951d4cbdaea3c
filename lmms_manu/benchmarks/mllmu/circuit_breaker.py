"""A circuit breaker: stops sending requests to an endpoint that does not reply."""

from __future__ import annotations

import logging
import threading
import time

logger = logging.getLogger(__name__)


class CircuitBreaker:
    """Stops requests to an endpoint that fails, then tries it one request at a time, and finally gives up.

    Args:
        failures: how many requests in a row may fail until the endpoint is left alone.
        silence: the seconds for which it is left alone each time.
        trials: how many times it is tried after a silence until it is given up for good.
    """

    def __init__(self, failures: int, silence: float, trials: int) -> None:
        self._most_failures = failures
        self._silence = silence
        self._most_trials = trials
        self._changed = threading.Condition()
        self._failures = 0
        self._trials = 0
        self._silent_until: float | None = None
        self._is_tried = False
        self._is_given_up = False

    def wait(self) -> bool:
        """Waits until the endpoint may be asked; false once it is given up."""
        with self._changed:
            while not self._is_given_up:
                if self._silent_until is None:
                    return True
                left = self._silent_until - time.monotonic()
                if left <= 0 and not self._is_tried:
                    self._is_tried = True
                    return True
                self._changed.wait(left if left > 0 else None)
        return False

    def replied(self) -> None:
        """Notes a reply: the endpoint is there."""
        with self._changed:
            self._failures = self._trials = 0
            self._silent_until = None
            self._is_tried = False
            self._changed.notify_all()

    def failed(self) -> None:
        """Notes that the endpoint did not reply, however often it was asked."""
        with self._changed:
            self._failures += 1
            if self._is_tried:
                self._is_tried = False
                self._trials += 1
                self._is_given_up = self._trials >= self._most_trials
            elif self._silent_until is not None or self._failures < self._most_failures:
                return
            else:
                logger.warning(
                    "The judge's endpoint does not reply: it is tried again every %g s, at most %d times.",
                    self._silence,
                    self._most_trials,
                )
            self._silent_until = time.monotonic() + self._silence
            self._changed.notify_all()

    def give_up(self) -> None:
        """Notes that the endpoint will never serve these requests."""
        with self._changed:
            self._is_given_up = True
            self._changed.notify_all()
