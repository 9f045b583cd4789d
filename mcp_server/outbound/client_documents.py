"""Client ID Metadata Documents, fetched. Anybody may name a URL to us, so what fails is counted, and then not asked for a while."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from mcp_server.audit import Audit
from mcp_server.clock import Clock
from mcp_server.errors import InvalidClient
from mcp_server.oauth.client_id_urls import host_of
from mcp_server.oauth.models import Client
from mcp_server.oauth.ports import DocumentUnavailable
from mcp_server.outbound.cache import FetchCache
from mcp_server.outbound.safe_fetch import Fetch, Fetched, FetchFailed

MOST_BYTES = 5 * 1024
LAST_SECONDS = 86_400
"""For how long a site may be away before what it said counts for nothing."""
MOST_FAILURES, MOST_FAILURES_IN_ALL = 10, 60
"""In a minute and a worker: for one host, and for all hosts together. A document that was good lately has a count of its own."""


class FetchedClientDocuments:
    """`read` makes a client of a document, or raises InvalidClient."""

    def __init__(self, fetch: Fetch, read: Callable[[str, Mapping[str, Any]], Client], audit: Audit, clock: Clock) -> None:
        self._fetch = fetch
        self._read = read
        self._audit = audit
        self._clock = clock
        self._clients: FetchCache[Client] = FetchCache(self._load, clock)
        self._failures = _Failures(clock)

    def client(self, client_id: str) -> Client:
        try:
            return self._clients.get(client_id)[0]
        except FetchFailed as error:
            raise DocumentUnavailable(str(error), lasting=error.lasting) from error

    def last(self, client_id: str) -> Client | None:
        return self._clients.last(client_id, LAST_SECONDS)

    def _load(self, client_id: str) -> tuple[Client, int | None]:
        counted = (client_id,) if self.last(client_id) else (host_of(client_id), _Failures.ALL)
        self._failures.require_few(counted)
        try:
            fetched = self._fetch(client_id, MOST_BYTES)
            client = self._read(client_id, _json(fetched))
        except (FetchFailed, InvalidClient) as error:
            self._failures.count(counted)
            if isinstance(error, InvalidClient) or error.lasting:
                self._clients.forget(client_id)  # it was taken back: what it said before counts no more
            raise
        self._audit.record("oauth", "client_document_read", "success", client_id=client_id, client_name=client.client_name,
                           redirect_uris=list(client.redirect_uris), method=client.token_endpoint_auth_method)
        return client, fetched.max_age


class _Failures:
    """Of the minute at hand."""

    ALL = ""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute = 0
        self._counts: Counter[str] = Counter()

    def require_few(self, names: tuple[str, ...]) -> None:
        """Raises FetchFailed."""
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, Counter()
        if any(self._counts[name] >= (MOST_FAILURES_IN_ALL if name == self.ALL else MOST_FAILURES) for name in names):
            raise FetchFailed("not asked: too many failures in this minute")

    def count(self, names: tuple[str, ...]) -> None:
        self._counts.update(names)


def _json(fetched: Fetched) -> Mapping[str, Any]:
    """What somebody could upload as a picture or a text to the host of a client is no document."""
    if fetched.media_type != "application/json" and not (fetched.media_type.startswith("application/") and fetched.media_type.endswith("+json")):
        raise FetchFailed("not served as JSON", lasting=True)
    return fetched.document
