"""What changes while a client listens: the lists of what this server has, and the resources it watches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mcp_server.clock import Clock
from mcp_server.mcp.switchboard import Switchboard
from mcp_server.principal import Principal

TOPIC = "changes"
LISTS = {
    "toolsListChanged": "notifications/tools/list_changed",
    "promptsListChanged": "notifications/prompts/list_changed",
    "resourcesListChanged": "notifications/resources/list_changed",
}
"""What a client can listen to, by the name it has in a filter, and the notification that tells of it."""
UPDATED = "notifications/resources/updated"
RECENT = 120.0
"""Seconds after a change in which a client that begins to listen is told of it."""
LONGEST = 3600.0
"""Seconds after which a stream of changes is ended; the client listens again."""

Notify = Callable[[str, Mapping[str, Any]], None]
Wanted = Callable[[str, Mapping[str, Any]], bool]


class Changes:
    def __init__(self, switchboard: Switchboard, clock: Clock) -> None:
        self._switchboard = switchboard
        self._clock = clock
        self._closing = threading.Event()
        self._recent: list[tuple[str, Mapping[str, Any], float]] = []

    def list_changed(self, name: str) -> None:
        """Tell everybody, in every worker, that a list is another; `name` is a key of LISTS. Raises StoreUnavailable."""
        self.publish(LISTS[name], {})

    def updated(self, uri: str) -> None:
        """Tell everybody who watches it that a resource is another. Raises StoreUnavailable."""
        self.publish(UPDATED, {"uri": uri})

    def publish(self, method: str, params: Mapping[str, Any]) -> None:
        """Tell everybody who wants to hear it. Raises StoreUnavailable."""
        self._switchboard.publish(TOPIC, [method, params])

    def keep_in_mind(self, method: str, params: Mapping[str, Any], changed_at: float) -> None:
        """Something that clients should know which could not listen when it changed."""
        self._recent.append((method, params, changed_at))

    def tell_recent(self, wanted: Wanted, notify: Notify) -> None:
        """What changed shortly before this client began to listen."""
        since = self._clock() - RECENT
        for method, params, changed_at in self._recent:
            if changed_at > since and wanted(method, params):
                notify(method, params)

    @contextmanager
    def following(self, wanted: Wanted, notify: Notify) -> Iterator[None]:
        """While the block runs, call `notify` with method and params of every change that is wanted."""

        def deliver(change: Any) -> None:
            method, params = change
            if wanted(method, params):
                notify(method, params)

        with self._switchboard.listening(TOPIC, deliver):
            yield

    def wait(self, principal: Principal | None) -> None:
        """Until the caller's credential has expired, a stream has lasted LONGEST, or this worker stops."""
        if principal is not None:
            self._closing.wait(max(0.0, min(principal.expires_at - self._clock(), LONGEST)))

    def close(self) -> None:
        """Whoever waits here ends: the worker stops."""
        self._closing.set()
