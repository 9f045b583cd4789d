"""The memory of a stream: what was said on it, so that a client whose connection broke can take it up again, at any worker.

Handshake era, since 2025-03-26, in a session. The last entry of a journal of this kind says that nothing comes after it.
"""

from __future__ import annotations

import re
import secrets

from mcp_server.clock import Clock
from mcp_server.mcp.ports import Entry, Journals
from mcp_server.mcp.sessions import Session

KEPT = 300
"""Seconds in which a stream can be taken up again."""

_EVENT_ID = re.compile(r"([0-9a-f]{16})_([0-9-]{0,40})")
_MESSAGE, _LAST, _NOTHING_MORE = b"m", b"l", b"n"


class StreamLog:
    """One stream of one session. Nobody else's session can name it."""

    def __init__(self, journals: Journals, session: Session, clock: Clock, stream_id: str | None = None) -> None:
        self._journals = journals
        self._clock = clock
        self._id = stream_id or secrets.token_hex(8)
        self._journal = f"stream:{session.name}:{self._id}"

    def append(self, content: bytes) -> str:
        return self._append(_MESSAGE + content)

    def finish(self, answer: bytes | None) -> None:
        """Keep the answer as what comes last; None: there is none."""
        self._append(_NOTHING_MORE if answer is None else _LAST + answer)

    def after(self, position: str) -> tuple[list[Entry], bool]:
        """What came behind `position`, and whether nothing more will."""
        entries = self._journals.after(self._journal, position, self._clock())
        finished = bool(entries) and entries[-1].content[:1] != _MESSAGE
        return [Entry(entry.position, entry.content[1:]) for entry in entries if entry.content != _NOTHING_MORE], finished

    def event_id(self, position: str) -> str:
        """The id of an event; with an empty position, of the stream's beginning."""
        return f"{self._id}_{position}"

    def _append(self, content: bytes) -> str:
        now = self._clock()
        return self._journals.append(self._journal, content, until=now + KEPT, now=now)


def resumed(event_id: str, journals: Journals, session: Session, clock: Clock) -> tuple[StreamLog, str] | None:
    """The stream that an event belongs to, and the event's position. None for an id that no stream of this session has, or has any more."""
    found = _EVENT_ID.fullmatch(event_id)
    if found is None:
        return None
    log = StreamLog(journals, session, clock, found[1])
    return (log, found[2]) if log.after("")[0] else None
