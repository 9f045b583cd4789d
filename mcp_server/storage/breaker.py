"""Stops asking a back end that does not answer."""

from __future__ import annotations

from mcp_server.clock import Elapsed
from mcp_server.errors import StoreUnavailable

FAILURES_TO_OPEN = 3
PROBE_EVERY = 1.0


class Breaker:
    """Opens after three failures in a row. From then on one call a second is let through, and one success closes it."""

    def __init__(self, elapsed: Elapsed) -> None:
        self._elapsed = elapsed
        self._failures = 0
        self._probe_at = 0.0

    def check(self) -> None:
        """Raises StoreUnavailable at once while the breaker is open."""
        if self._failures < FAILURES_TO_OPEN:
            return
        now = self._elapsed()
        if now < self._probe_at:
            raise StoreUnavailable(detail="It failed a moment ago and is not asked again yet.")
        self._probe_at = now + PROBE_EVERY

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        self._probe_at = self._elapsed() + PROBE_EVERY
