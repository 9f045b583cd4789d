"""One JSON line for each security event, and the facts of the request that every line shares."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from mcp_server.clock import Clock

Result = Literal["success", "failure", "denied"]
EventType = Literal["oauth", "mcp", "security", "operator"]


@dataclass(slots=True)
class RequestFacts:
    """What the log knows of the request at hand. The web layer makes one per request; deeper layers only read it."""

    request_id: str
    source_ip: str = ""
    began: float = 0.0
    client_id: str | None = None
    user_id: str | None = None
    method: str | None = None
    tool: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


current_request: ContextVar[RequestFacts | None] = ContextVar("current_request", default=None)


class Audit:
    """Writes audit records: who did what, from where, with what result. Never a secret, a token or a prompt."""

    def __init__(self, write: Callable[[dict[str, Any]], None], clock: Clock, close: Callable[[], None] = lambda: None) -> None:
        self._write = write
        self._clock = clock
        self.close = close

    def record(
        self, event_type: EventType, action: str, result: Result, *, client_id: str | None = None, user_id: str | None = None, **details: Any
    ) -> None:
        facts = current_request.get()
        self._write({
            "timestamp": datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "event_type": event_type,
            "client_id": client_id or (facts.client_id if facts else None),
            "user_id": user_id or (facts.user_id if facts else None),
            "action": action,
            "result": result,
            "request_id": facts.request_id if facts else None,
            "source_ip": facts.source_ip if facts else None,
            "details": details,
        })
