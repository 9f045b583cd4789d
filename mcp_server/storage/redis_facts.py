"""What a Redis tells of itself, for `flask doctor`."""

from __future__ import annotations

import contextlib

from mcp_server.errors import StoreUnavailable
from mcp_server.storage.redis_connections import RedisConnections


def facts_of(connections: RedisConnections) -> dict[str, str]:
    """The lines of INFO on memory and persistence, and the setting `save` where this account may read settings. Raises StoreUnavailable."""
    told = b"".join(connections.call("INFO", section, repeatable=True) for section in ("memory", "persistence")).decode("utf-8", "replace")
    facts = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    with contextlib.suppress(StoreUnavailable):  # hosted ones allow no CONFIG
        answer = connections.call("CONFIG", "GET", "save", repeatable=True)
        facts.update({"save": answer[1].decode()} if len(answer) > 1 else {})
    return facts
