"""What MCP asks of the storage, as promises. Each is a test in `tests/contract/`, run over every back end.

A method raises StoreUnavailable when the back end does not answer in time, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a journal. Positions are opaque; a later entry's is not the same as an earlier one's."""

    position: str
    content: bytes


class Journals(Protocol):
    """Append-only lists, read by every worker: what one has appended all can read, in the same order."""

    def append(self, journal: str, content: bytes, *, until: float, now: float) -> str:
        """The position of the new entry. It may be forgotten after `until`, and is forgotten some time later."""

    def end(self, journal: str) -> str:
        """The position after which only later entries come."""

    def after(self, journal: str, position: str, now: float) -> list[Entry]:
        """The entries behind `position`, oldest first, a few hundred at most. A position that never was: none are lost, some may come twice."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What is remembered of an MCP session besides what its id says. `log_level` None: it was never set."""

    ended: bool = False
    log_level: str | None = None
    subscriptions: frozenset[str] = frozenset()


class SessionStore(Protocol):
    def find(self, session_id: str, now: float) -> SessionRecord:
        """An empty record when nothing was ever said of it."""

    def end(self, session_id: str, until: float) -> None:
        """From now until `until` it is ended, whatever is said of it later."""

    def set_log_level(self, session_id: str, level: str, until: float) -> None: ...
    def subscribe(self, session_id: str, uri: str, until: float) -> bool:
        """False when it has as many subscriptions as it may have."""

    def unsubscribe(self, session_id: str, uri: str, until: float) -> None: ...


MOST_SUBSCRIPTIONS = 100


@dataclass(frozen=True, slots=True)
class Seen:
    """`first`: this caller is the one that found it changed. `changed_at`: None for what has not changed since it was seen first."""

    first: bool
    changed_at: float | None


class Listings(Protocol):
    """What the lists of this server looked like when it started last."""

    def see(self, name: str, digest: str, *, until: float, now: float) -> Seen:
        """Remember the digest until then. Of callers that bring another one than is remembered exactly one is the first.

        What was never seen, or is forgotten, has not changed.
        """
