"""Where a back end of the hot state is chosen."""

from __future__ import annotations

from pathlib import Path

from mcp_server.clock import Clock, wall_clock
from mcp_server.storage.redis import RedisState
from mcp_server.storage.sqlite import SqliteState


def open_state(redis_url: str | None, path: Path, *, clock: Clock = wall_clock) -> SqliteState | RedisState:
    """The hot state: in Redis when there is a URL, else in the SQLite file at `path`. Nothing connects until it is used."""
    if redis_url:
        return RedisState(redis_url, clock=clock)
    return SqliteState(path)
