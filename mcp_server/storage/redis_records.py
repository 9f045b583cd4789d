"""How single values are written in Redis, and read back."""

from __future__ import annotations

import math
from typing import Any

from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.models import RefreshToken
from mcp_server.storage.records import dump


def token_fields(token: RefreshToken) -> dict[str, Any]:
    rotated_at = "" if token.rotated_at is None else token.rotated_at
    return {"record": dump(token), "expires_at": token.expires_at, "rotated_at": rotated_at, "dead": int(token.dead)}


def ttl(until: float, now: float) -> int:
    """Milliseconds. A second more than needed, because the time is compared when a record is read."""
    return max(1, math.ceil((until - now + 1) * 1000))


def time_of(text: bytes) -> float | None:
    try:
        return float(text) if text else None
    except ValueError as error:
        raise StoreUnavailable(detail=f"A stored time cannot be read: {error}") from error
