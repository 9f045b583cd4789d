"""The key sets that clients publish, kept for as long as their servers allow, within our own bounds."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_server.clock import Clock
from mcp_server.oauth.ports import JwksUnavailable, PublishedKeys
from mcp_server.outbound.safe_fetch import Fetched, FetchFailed

Fetch = Callable[[str, int], Fetched]

MOST_BYTES = 64 * 1024
MOST_ENTRIES = 200
SHORTEST, OTHERWISE, LONGEST = 60, 300, 3600
"""For how many seconds a set is kept: at least, where its server says nothing, at most."""
AGAIN_AFTER = 60
MOST_AT_ONCE = 8
WAIT_SECONDS = 10.0


@dataclass(slots=True)
class _Flight:
    """A fetch under way, and those who wait for it."""

    landed: threading.Event = field(default_factory=threading.Event)
    jwks: Mapping[str, Any] | None = None
    reason: str = "the fetch was broken off"


class CachedJwks:
    """One fetch of a URL at a time, whoever asks; what fails is never kept."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: OrderedDict[str, tuple[Mapping[str, Any], float]] = OrderedDict()
        self._asked_again: OrderedDict[str, float] = OrderedDict()
        self._flights: dict[str, _Flight] = {}
        self._lock = threading.Lock()

    def keys(self, jwks_uri: str) -> PublishedKeys:
        with self._lock:
            kept = self._kept.get(jwks_uri)
            if kept is not None and self._clock() < kept[1]:
                self._kept.move_to_end(jwks_uri)
                return PublishedKeys(kept[0], fresh=False)
        return self._fetched(jwks_uri)

    def keys_again(self, jwks_uri: str, client_id: str) -> PublishedKeys | None:
        now = self._clock()
        with self._lock:
            if now < self._asked_again.get(client_id, -math.inf) + AGAIN_AFTER:
                return None
            self._remember(self._asked_again, client_id, now)
        return self._fetched(jwks_uri)

    def _fetched(self, uri: str) -> PublishedKeys:
        with self._lock:
            flight, mine = self._flights.get(uri), False
            if flight is None:
                if len(self._flights) >= MOST_AT_ONCE:
                    raise JwksUnavailable("too many are being fetched")
                flight, mine = self._flights.setdefault(uri, _Flight()), True
        if mine:
            self._fly(uri, flight)
        elif not flight.landed.wait(WAIT_SECONDS):
            raise JwksUnavailable("waited too long for another's fetch")
        if flight.jwks is None:
            raise JwksUnavailable(flight.reason)
        return PublishedKeys(flight.jwks, fresh=True)

    def _fly(self, uri: str, flight: _Flight) -> None:
        try:
            fetched = self._fetch(uri, MOST_BYTES)
            flight.jwks = fetched.document
            seconds = OTHERWISE if fetched.max_age is None else min(max(fetched.max_age, SHORTEST), LONGEST)
            with self._lock:
                self._remember(self._kept, uri, (fetched.document, self._clock() + seconds))
        except FetchFailed as error:
            flight.reason = str(error)
        finally:
            with self._lock:
                self._flights.pop(uri, None)
            flight.landed.set()

    @staticmethod
    def _remember(where: OrderedDict[str, Any], name: str, value: Any) -> None:
        where[name] = value
        where.move_to_end(name)
        if len(where) > MOST_ENTRIES:
            where.popitem(last=False)
