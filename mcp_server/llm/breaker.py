"""Knowing that a model cannot be reached, so that not every call has to find out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mcp_server.clock import Elapsed, elapsed
from mcp_server.errors import ModelError, ModelTimeout, ModelUnavailable

T = TypeVar("T")

FAILURES_TO_OPEN = 3
OPEN_SECONDS = 5.0


class Breaker:
    """After three failures to reach the model in a row calls are refused at once, but for one each five seconds that tries."""

    def __init__(self, clock: Elapsed = elapsed, changed: Callable[[bool], object] = lambda _: None) -> None:
        """`changed` is told whether it is open now: at the beginning, and whenever that changes."""
        self._clock = clock
        self._changed = changed
        self._failures = 0
        self._tried_at = 0.0
        self._last = ""
        changed(False)

    def check(self) -> None:
        """Raises ModelUnavailable while nobody is to try."""
        if self._is_open and self._clock() - self._tried_at < OPEN_SECONDS:
            raise ModelUnavailable(self._last, detail="not tried: it was unavailable a moment ago")

    def call(self, ask: Callable[[], T]) -> T:
        self.check()
        self._tried_at = self._clock()
        try:
            answer = ask()
        except ModelUnavailable as error:
            self._last = error.message
            self._count(self._failures + 1)
            raise
        except ModelTimeout:
            raise  # says nothing about whether the next call would reach it
        except ModelError:
            self._count(0)
            raise
        self._count(0)
        return answer

    def _count(self, failures: int) -> None:
        was_open, self._failures = self._is_open, failures
        if self._is_open != was_open:
            self._changed(self._is_open)

    @property
    def _is_open(self) -> bool:
        return self._failures >= FAILURES_TO_OPEN
