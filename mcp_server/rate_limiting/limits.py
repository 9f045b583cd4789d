"""A limit, and what happens beyond it."""

from __future__ import annotations

from dataclasses import dataclass

from mcp_server.errors import RateLimitExceeded


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` hits in each fixed window of `window` seconds. `most` 0: no limit."""

    most: int
    window: int

    def require(self, hits: int, seconds_left: int) -> None:
        """Raises RateLimitExceeded when `hits`, this one included, are too many."""
        if self.most and hits > self.most:
            raise RateLimitExceeded(
                f"Rate limit exceeded: {self.most} requests in {self.window} seconds. Try again in {seconds_left} seconds.",
                retry_after=max(1, seconds_left))

    @property
    def in_words(self) -> str:
        """As Flask-Limiter reads it."""
        return f"{self.most} per {self.window} second"


class LocalCounter:
    """Fixed windows of this process alone, for as long as the shared counter is away. Never more than a few thousand callers."""

    MOST_CALLERS = 4096

    def __init__(self) -> None:
        self._hits: dict[tuple[str, int], int] = {}

    def hit(self, counter: str, window: int, now: float) -> tuple[int, int]:
        """The hits in this window with this one, and the seconds until it ends."""
        number = int(now // window)
        if len(self._hits) >= self.MOST_CALLERS:
            self._hits.clear()
        key = (counter, number)
        self._hits[key] = self._hits.get(key, 0) + 1
        return self._hits[key], int((number + 1) * window - now) + 1
