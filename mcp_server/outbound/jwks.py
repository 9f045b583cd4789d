"""The key sets that clients publish, kept for as long as their servers allow, within our own bounds."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from mcp_server.clock import Clock
from mcp_server.oauth.ports import JwksUnavailable, PublishedKeys
from mcp_server.outbound.cache import FetchCache, remember
from mcp_server.outbound.safe_fetch import Fetch, FetchFailed

MOST_BYTES = 64 * 1024
AGAIN_AFTER = 60


class CachedJwks:
    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._sets: FetchCache[Mapping[str, Any]] = FetchCache(self._load, clock)
        self._asked_again: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def keys(self, jwks_uri: str) -> PublishedKeys:
        try:
            return PublishedKeys(*self._sets.get(jwks_uri))
        except FetchFailed as error:
            raise JwksUnavailable(str(error)) from error

    def keys_again(self, jwks_uri: str, client_id: str) -> PublishedKeys | None:
        now = self._clock()
        with self._lock:
            if now < self._asked_again.get(client_id, -math.inf) + AGAIN_AFTER:
                return None
            remember(self._asked_again, client_id, now)
        try:
            return PublishedKeys(self._sets.fetched(jwks_uri), fresh=True)
        except FetchFailed as error:
            raise JwksUnavailable(str(error)) from error

    def _load(self, jwks_uri: str) -> tuple[Mapping[str, Any], int | None]:
        fetched = self._fetch(jwks_uri, MOST_BYTES)
        return fetched.document, fetched.max_age
