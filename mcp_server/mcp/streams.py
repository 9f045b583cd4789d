"""The memory of a stream: what was said on it, so that a client whose connection broke can take it up again, at any worker.

Handshake era, since 2025-03-26, in a session. The last entry of a journal of this kind says that nothing comes after it.
"""

from __future__ import annotations

import json
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass

from mcp_server.clock import Clock
from mcp_server.errors import StoreUnavailable
from mcp_server.mcp import jsonrpc
from mcp_server.mcp.jsonrpc import RequestId
from mcp_server.mcp.ports import Entry, Journals
from mcp_server.mcp.sessions import Session

KEPT = 300
"""Seconds in which a stream can be taken up again."""
GOES_ON_EVERY, DEAD_AFTER = 5.0, 15.0
"""Seconds between two signs of a call that it is being worked on, and without one after which its worker is dead."""

_EVENT_ID = re.compile(r"([0-9a-f]{16})_([0-9-]{0,40})")
_MESSAGE, _GOES_ON, _LAST, _NOTHING_MORE = b"m", b"g", b"l", b"n"


@dataclass(frozen=True, slots=True)
class Heard:
    """A look at a stream: what was said, how far was looked, and whether nothing comes behind it."""

    entries: list[Entry]
    position: str
    finished: bool


class StreamLog:
    """One stream of one session. Nobody else's session can name it."""

    def __init__(self, journals: Journals, session: Session, clock: Clock, stream_id: str | None = None) -> None:
        self._journals = journals
        self._clock = clock
        self._id = stream_id or secrets.token_hex(8)
        self._journal = f"stream:{session.name}:{self._id}"

    def append(self, content: bytes) -> str | None:
        """Where it can be read again. None when the store does not answer: then it is said this once only."""
        return self._append(_MESSAGE + content)

    def goes_on(self, request_id: RequestId | None) -> None:
        """The request is being worked on."""
        self._append(_GOES_ON + jsonrpc.dumps(request_id))

    def finish(self, answer: bytes | None) -> None:
        """Keep the answer as what comes last; None: there is none."""
        self._append(_NOTHING_MORE if answer is None else _LAST + answer)

    def after(self, position: str) -> Heard:
        """What came behind `position`. Raises StoreUnavailable."""
        entries = self._journals.after(self._journal, position, self._clock())
        said = [Entry(entry.position, entry.content[1:]) for entry in entries if entry.content[:1] in (_MESSAGE, _LAST)]
        return Heard(said, entries[-1].position if entries else position, any(map(_is_the_end, entries)))

    def unanswered(self) -> RequestId | None:
        """The request that has had no answer on this stream; None when it had one, or when nobody knows any more. Raises StoreUnavailable."""
        position, request_id = "", None
        while entries := self._journals.after(self._journal, position, self._clock()):
            if any(map(_is_the_end, entries)):
                return None
            position = entries[-1].position
            request_id = next((json.loads(entry.content[1:]) for entry in entries if entry.content[:1] == _GOES_ON), request_id)
        return request_id

    def event_id(self, position: str) -> str:
        """The id of an event; with an empty position, of the stream's beginning."""
        return f"{self._id}_{position}"

    def _append(self, content: bytes) -> str | None:
        now = self._clock()
        with suppress(StoreUnavailable):  # the client that is there hears it all the same
            return self._journals.append(self._journal, content, until=now + KEPT, now=now)
        return None


def _is_the_end(entry: Entry) -> bool:
    return entry.content[:1] in (_LAST, _NOTHING_MORE)


def resumed(event_id: str, journals: Journals, session: Session, clock: Clock) -> tuple[StreamLog, str] | None:
    """The stream that an event belongs to, and the event's position. None for an id that no stream of this session has, or has any more."""
    found = _EVENT_ID.fullmatch(event_id)
    if found is None:
        return None
    log = StreamLog(journals, session, clock, found[1])
    return (log, found[2]) if log.after("").position else None
