"""What MCP asks of the storage, as promises. Each is a test in `tests/contract/`, run over every back end.

A method raises StoreUnavailable when the back end does not answer in time, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


class ChatStore(Protocol):
    """What was said in a chat, turn by turn. A whole chat is forgotten `until` after its last turn."""

    def add(self, chat: str, turn: bytes, *, most: int, until: float, now: float) -> None:
        """One more turn, UTF-8 text. Of more than `most` the oldest are forgotten. Of turns that come at once none is lost."""

    def turns(self, chat: str, now: float) -> list[bytes]:
        """Oldest first."""


@dataclass(frozen=True, slots=True)
class Task:
    """Work that goes on after its request was answered.

    `work` is what runs and `outcome` what came of it, both JSON; `work` is forgotten with the outcome. `status` is MCP's. `tries`: runs that
    have begun since it last came to a question. `questions` are those that are open, `answers` those that were given, JSON by key.
    """

    task_id: str
    owner: str
    tool: str
    work: bytes
    created_at: float
    expires_at: float
    updated_at: float
    status: str = "working"
    message: str = ""
    outcome: bytes = b""
    tries: int = 0
    questions: Mapping[str, bytes] = field(default_factory=dict)
    answers: Mapping[str, bytes] = field(default_factory=dict)


class TaskStore(Protocol):
    """A run of a task has a lease with a name of its own. Who has lost it changes nothing any more: each method then says False."""

    def create(self, task: Task, *, most: int, lease: str = "", until: float = 0.0) -> bool:
        """Keep it until it expires. False when its owner has `most` unfinished ones. Without a lease it waits to be claimed."""

    def find(self, task_id: str, owner: str, now: float) -> Task | None:
        """None for one that is unknown, has expired, or is somebody else's."""

    def claim(self, lease: str, until: float, now: float) -> Task | None:
        """The one that has waited longest, or whose lease ran out. Of those who ask at once exactly one gets it."""

    def hold(self, task_id: str, lease: str, until: float, now: float, message: str | None = None) -> bool:
        """Keep the lease until then, and say how far the work is."""

    def release(self, task_id: str, lease: str, now: float) -> bool:
        """Anybody may claim it now. The run was no try."""

    def ask(self, task_id: str, lease: str, questions: Mapping[str, bytes], now: float) -> bool:
        """Give up the lease until all are answered. A key that was asked before keeps its question, and its answer."""

    def answer(self, task_id: str, owner: str, answers: Mapping[str, bytes], now: float) -> bool:
        """Take the answers to open questions; True when there were any. After the last one the task waits to be claimed."""

    def cancel(self, task_id: str, owner: str, now: float) -> bool:
        """True for exactly one caller, when it was unfinished. No lease is good any more."""

    def finish(self, task_id: str, lease: str, status: str, outcome: bytes, *, message: str, now: float) -> bool:
        """True exactly once; never after it was cancelled or taken over."""
