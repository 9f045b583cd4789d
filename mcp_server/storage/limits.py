"""What Flask-Limiter counts in: the SQLite file of the hot state, or Redis. Import this before the limiter is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limits.storage.base import Storage
from redis.backoff import NoBackoff
from redis.connection import BlockingConnectionPool
from redis.retry import Retry

from mcp_server.clock import Clock, wall_clock
from mcp_server.errors import StoreUnavailable
from mcp_server.storage.sqlite_file import SqliteFile
from mcp_server.storage.sqlite_schema import SCHEMA

REDIS_TIMEOUT = 0.5
REDIS_CONNECTIONS = 32


def limiter_options(redis_url: str | None, path: Path) -> dict[str, Any]:
    """Flask-Limiter's `storage_uri` and `storage_options`, for the back end that `open_state()` chooses too."""
    if redis_url is None:
        return {"storage_uri": f"{SqliteStorage.STORAGE_SCHEME[0]}://{path}", "storage_options": {}}
    pool = BlockingConnectionPool.from_url(
        redis_url, max_connections=REDIS_CONNECTIONS, timeout=REDIS_TIMEOUT,
        socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT, health_check_interval=30, retry=Retry(NoBackoff(), 1))
    # The pool knows the address; a unix socket's URL would not be understood here.
    return {"storage_uri": "redis://", "storage_options": {"connection_pool": pool, "key_prefix": "mcp:limits"}}


class SqliteStorage(Storage):
    """Fixed windows, exact across the processes of a machine."""

    STORAGE_SCHEME = ["sqlite"]  # noqa: RUF012 - the base class reads a list

    def __init__(self, uri: str, wrap_exceptions: bool = False, *, clock: Clock = wall_clock, **_: Any) -> None:  # noqa: FBT001, FBT002 - the base class's signature
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._file = SqliteFile(Path(uri.partition("://")[2]), SCHEMA)
        self._clock = clock

    @property
    def base_exceptions(self) -> type[Exception]:
        return StoreUnavailable

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        now = self._clock()
        [(hits,)] = self._file.run(
            """INSERT INTO limits VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET
            hits = CASE WHEN expires_at <= ?4 THEN excluded.hits ELSE hits + excluded.hits END,
            expires_at = CASE WHEN expires_at <= ?4 THEN excluded.expires_at ELSE expires_at END RETURNING hits""",
            (key, now + expiry, amount, now))
        return int(hits)

    def get(self, key: str) -> int:
        rows = self._file.run("SELECT hits FROM limits WHERE name = ? AND expires_at > ?", (key, self._clock()))
        return int(rows[0][0]) if rows else 0

    def get_expiry(self, key: str) -> float:
        now = self._clock()
        rows = self._file.run("SELECT expires_at FROM limits WHERE name = ? AND expires_at > ?", (key, now))
        return float(rows[0][0]) if rows else now

    def check(self) -> bool:
        try:
            self._file.run("SELECT 1")
        except StoreUnavailable:
            return False
        return True

    def reset(self) -> int:
        return len(self._file.run("DELETE FROM limits RETURNING 1"))

    def clear(self, key: str) -> None:
        self._file.run("DELETE FROM limits WHERE name = ?", (key,))

    def close(self) -> None:
        self._file.close()
