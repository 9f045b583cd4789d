"""Sessions of the handshake era, for clients that can be asked something. One that only calls tools gets none, unless MCP_SESSIONS says so.

A session id says itself what it stands for, under our seal: the revision, whose it is, what its client can do. So every
worker knows it, also after a restart, and nothing has to be remembered of a session that goes well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from mcp_server.clock import Clock
from mcp_server.errors import SessionNotFound
from mcp_server.mcp.ports import SessionRecord, SessionStore
from mcp_server.principal import Principal

LIFETIME = 86400
"""Seconds until a client has to begin a new session."""

NEEDING_A_SESSION = ("elicitation", "sampling", "roots")
"""Capabilities of a client that let us ask it something: the answer is another request, which has to find the way."""

MARK = 16
LONGEST_ID = 1024
GONE = "This session has ended. Begin a new one with initialize."


@dataclass(frozen=True, slots=True)
class Session:
    """`capabilities`: those of the client that we may use. `record`: what was said of the session since it began."""

    id: str
    version: str
    capabilities: Mapping[str, Any]
    until: float
    record: SessionRecord = field(default_factory=SessionRecord)

    @property
    def name(self) -> str:
        """What the session is called in the stores: the id itself is the client's."""
        return hashlib.sha256(self.id.encode()).hexdigest()[:32]

    @property
    def resumable(self) -> bool:
        """Whether a stream that broke can be taken up again (since 2025-03-26)."""
        return self.version >= "2025-03-26"

    @property
    def primed(self) -> bool:
        """Whether its streams begin with an empty event: older clients cannot read one."""
        return self.version >= "2025-11-25"


class Sessions:
    def __init__(self, keys: Sequence[bytes], store: SessionStore, clock: Clock, *, for_everybody: bool = False) -> None:
        """`keys`: the one that seals, then those that are still believed. `for_everybody`: also for clients that cannot be asked anything."""
        self._keys = keys
        self._for_everybody = for_everybody
        self.store = store
        self._clock = clock

    def now(self) -> float:
        return self._clock()

    def begin(self, version: str, capabilities: Mapping[str, Any], principal: Principal | None) -> str | None:
        """The id of a new session; None for a client that needs none, or that nobody vouches for."""
        useful = {name: capabilities[name] for name in NEEDING_A_SESSION if isinstance(capabilities.get(name), dict)}
        if principal is None or not (useful or self._for_everybody):
            return None
        shown = {name: _modes(value) for name, value in useful.items()}
        content = orjson.dumps([version, shown, owner_of(principal), int(self._clock()) + LIFETIME, secrets.token_hex(16)])
        return _written(self._seal(self._keys[0], content) + content)

    def find(self, session_id: str | None, principal: Principal | None) -> Session | None:
        """The session; None for an id that is not ours, which a client may have kept from anywhere.

        Raises SessionNotFound for one of ours that has ended or is somebody else's, and StoreUnavailable. A client that only calls tools
        loses nothing with a session that is too old or another's: it is told only of one that it ended.
        """
        if not session_id or len(session_id) > LONGEST_ID or principal is None:
            return None
        content = self._opened(session_id)
        if content is None:
            return None
        version, capabilities, owner, until, _ = content
        if owner != owner_of(principal) or until <= self._clock():
            if not capabilities:
                return None
            raise SessionNotFound(GONE)
        session = Session(session_id, version, capabilities, until)
        record = self.store.find(session.name, self._clock())
        if record.ended:
            raise SessionNotFound(GONE)
        return Session(session_id, version, capabilities, until, record)

    def _opened(self, session_id: str) -> list[Any] | None:
        try:
            sealed = base64.urlsafe_b64decode(session_id + "=" * (-len(session_id) % 4))
        except (binascii.Error, ValueError):
            return None
        seal, content = sealed[:MARK], sealed[MARK:]
        if _written(sealed) != session_id:  # one session has one id: an ended one does not come back under another spelling
            return None
        if not any(hmac.compare_digest(seal, self._seal(key, content)) for key in self._keys):
            return None
        opened: list[Any] = orjson.loads(content)
        return opened

    @staticmethod
    def _seal(key: bytes, content: bytes) -> bytes:
        return hmac.digest(key, b"session:" + content, "sha256")[:MARK]


def _written(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _modes(capability: Mapping[str, Any]) -> dict[str, Any]:
    """What a capability holds, without what we have no use for."""
    return {name: {} for name in ("form", "url", "context", "tools", "listChanged") if name in capability}


def owner_of(principal: Principal) -> str:
    """Whose a session or a task is: of this client, for this subject."""
    return hashlib.sha256(f"{principal.client_id}\n{principal.subject}".encode()).hexdigest()[:32]
