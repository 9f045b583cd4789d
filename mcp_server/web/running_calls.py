"""The calls and streams that this worker works on beside their connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from mcp_server.deadline import Deadline
from mcp_server.errors import RateLimitExceeded
from mcp_server.principal import Principal

MOST_OF_ONE_CALLER = 64
RETRY_SECONDS = 5


class RunningCalls:
    """`most`: of one caller, so that nobody can hold every place of the worker with streams that never end."""

    def __init__(self, most: int = MOST_OF_ONE_CALLER) -> None:
        self._most = most
        self._callers: Counter[tuple[str, str]] = Counter()
        self._deadlines: list[Deadline] = []

    @contextmanager
    def running(self, principal: Principal, deadline: Deadline | None = None) -> Iterator[None]:
        """Raises RateLimitExceeded when the caller has too many already. `deadline` can be brought forward while the block runs."""
        caller = principal.client_id, principal.subject
        if self._callers[caller] >= self._most:
            raise RateLimitExceeded(
                f"{self._most} calls and streams of yours are open already. Close one, or wait for its answer.", retry_after=RETRY_SECONDS)
        self._callers[caller] += 1
        if deadline is not None:
            self._deadlines.append(deadline)
        try:
            yield
        finally:
            if deadline is not None:
                self._deadlines.remove(deadline)
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    @property
    def count(self) -> int:
        return self._callers.total()

    def end_within(self, seconds: float) -> None:
        """Nothing that runs now may take longer than this."""
        for deadline in self._deadlines:
            deadline.at = min(deadline.at, deadline.clock() + seconds)
