"""What was fetched from outside, kept for as long as its server allows, within our own bounds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from mcp_server.clock import Clock
from mcp_server.errors import GatewayError
from mcp_server.outbound.safe_fetch import FetchFailed

T = TypeVar("T")

MOST_ENTRIES = 200
SHORTEST, OTHERWISE, LONGEST = 60, 300, 3600
"""For how many seconds a thing is kept: at least, where its server says nothing, at most."""
MOST_AT_ONCE = 8
WAIT_SECONDS = 10.0


@dataclass(slots=True)
class _Flight(Generic[T]):
    """A fetch under way, and those who wait for it."""

    landed: threading.Event = field(default_factory=threading.Event)
    value: T | None = None
    failure: Exception | None = field(default_factory=lambda: FetchFailed("the fetch was broken off"))


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    value: T
    fetched_at: float
    until: float


class FetchCache(Generic[T]):
    """One fetch of a URL at a time, whoever asks; what fails is never kept, and those who waited for it share the failure.

    `load` fetches and reads: the value, and the `max_age` that its server gave. What it raises, FetchFailed or an error of ours, is raised
    to all who wait.
    """

    def __init__(self, load: Callable[[str], tuple[T, int | None]], clock: Clock) -> None:
        self._load = load
        self._clock = clock
        self._kept: OrderedDict[str, _Kept[T]] = OrderedDict()
        self._flights: dict[str, _Flight[T]] = {}
        self._lock = threading.Lock()

    def get(self, url: str) -> tuple[T, bool]:
        """The value, and whether it was fetched for this very question."""
        with self._lock:
            kept = self._kept.get(url)
            if kept is not None and self._clock() < kept.until:
                self._kept.move_to_end(url)
                return kept.value, False
        return self.fetched(url), True

    def fetched(self, url: str) -> T:
        """Fetched anew, or by the fetch that is under way."""
        with self._lock:
            flight, mine = self._flights.get(url), False
            if flight is None:
                if len(self._flights) >= MOST_AT_ONCE:
                    raise FetchFailed("too many are being fetched")
                flight, mine = self._flights.setdefault(url, _Flight()), True
        if mine:
            self._fly(url, flight)
        elif not flight.landed.wait(WAIT_SECONDS):
            raise FetchFailed("waited too long for another's fetch")
        if flight.failure is not None:
            raise flight.failure
        return cast("T", flight.value)

    def last(self, url: str, seconds: float) -> T | None:
        """What was fetched last, though it may have run out, if that was not more than so many seconds ago."""
        with self._lock:
            kept = self._kept.get(url)
        return kept.value if kept is not None and self._clock() - kept.fetched_at <= seconds else None

    def forget(self, url: str) -> None:
        with self._lock:
            self._kept.pop(url, None)

    def _fly(self, url: str, flight: _Flight[T]) -> None:
        try:
            value, max_age = self._load(url)
            now = self._clock()
            seconds = OTHERWISE if max_age is None else min(max(max_age, SHORTEST), LONGEST)
            with self._lock:
                remember(self._kept, url, _Kept(value, now, now + seconds))
            flight.value, flight.failure = value, None
        except (FetchFailed, GatewayError) as error:
            flight.failure = error
        finally:
            with self._lock:
                self._flights.pop(url, None)
            flight.landed.set()


def remember(where: OrderedDict[str, Any], name: str, value: Any) -> None:
    """Keep it as the newest; the one that nobody asked for the longest makes room."""
    where[name] = value
    where.move_to_end(name)
    if len(where) > MOST_ENTRIES:
        where.popitem(last=False)
