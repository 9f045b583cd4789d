"""Brings what one worker was told to the call that waits for it in another: answers, cancellations, changes.

Everything goes through one journal that every worker follows, and only while somebody in it listens. What is published is
kept for a few minutes, so that nothing is lost between two looks.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mcp_server.clock import Clock
from mcp_server.errors import StoreUnavailable
from mcp_server.mcp import jsonrpc
from mcp_server.mcp.ports import Journals

JOURNAL = "switchboard"
KEPT = 120
"""Seconds that a message can be read: longer than any store outage that a call survives."""

Deliver = Callable[[Any], None]


class Switchboard:
    """`follow` is called about twenty times a second."""

    def __init__(self, journals: Journals, clock: Clock) -> None:
        self._journals = journals
        self._clock = clock
        self._listeners: dict[str, list[Deliver]] = {}
        self._position = ""
        self._lock = threading.Lock()

    def publish(self, topic: str, message: Any) -> None:
        """Tell all who listen to `topic`, in every worker. Raises StoreUnavailable."""
        now = self._clock()
        self._journals.append(JOURNAL, jsonrpc.dumps([topic, message]), until=now + KEPT, now=now)

    @contextmanager
    def listening(self, topic: str, deliver: Deliver) -> Iterator[None]:
        """From the start of the block on, `deliver` is called with each message, in the greenlet that follows. Raises StoreUnavailable."""
        with self._lock:
            if not self._listeners:
                self._position = self._journals.end(JOURNAL)
            self._listeners.setdefault(topic, []).append(deliver)
        try:
            yield
        finally:
            with self._lock:
                self._listeners[topic].remove(deliver)
                if not self._listeners[topic]:
                    del self._listeners[topic]

    def listeners(self, topic: str) -> int:
        """How many listen to it in this worker."""
        return len(self._listeners.get(topic, ()))

    def follow(self) -> None:
        """Deliver what was published since the last time. Never raises: what could not be read is read the next time."""
        with suppress(StoreUnavailable), self._lock:
            if not self._listeners:
                return
            for entry in self._journals.after(JOURNAL, self._position, self._clock()):
                self._position = entry.position
                topic, message = json.loads(entry.content)
                for deliver in tuple(self._listeners.get(topic, ())):
                    with suppress(StoreUnavailable):  # what one of them meets is nothing to the others
                        deliver(message)
