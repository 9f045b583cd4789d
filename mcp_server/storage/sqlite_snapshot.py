"""The grants and refresh tokens of the SQLite file: read as they are at one moment, and replaced in one transaction. For backups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import Connection

from mcp_server.oauth.models import Grant, RefreshToken
from mcp_server.storage.records import KeptRefreshToken, dump, load
from mcp_server.storage.sqlite_file import SqliteFile


class SqliteSnapshot:
    kind = "sqlite"

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def records(self, now: float) -> Iterator[Grant | KeptRefreshToken]:
        """All that are in force, and the refresh tokens that were used up. Writers are not held up."""
        with self._file.snapshot() as connection:
            for (record,) in connection.execute("SELECT record FROM grants WHERE expires_at > ?", (now,)):
                yield load(Grant, record)
            tokens = connection.execute(
                "SELECT token_digest, record, rotated_at, dead, successor_digest FROM refresh_tokens WHERE expires_at > ?", (now,))
            for digest, record, rotated_at, dead, successor in tokens:
                yield KeptRefreshToken(digest, load(RefreshToken, record, rotated_at=rotated_at, dead=bool(dead)), successor)

    def counts(self, now: float) -> dict[str, int]:
        with self._file.snapshot() as connection:
            return {table: connection.execute(f"SELECT count(*) FROM {table} WHERE expires_at > ?", (now,)).fetchone()[0]  # noqa: S608 - our own names
                    for table in ("grants", "refresh_tokens")}

    def revocations(self, now: float) -> dict[str, float]:
        """What the copy knows: until when each id is revoked."""
        with self._file.snapshot() as connection:
            return dict(connection.execute("SELECT revoked_id, expires_at FROM revocations WHERE expires_at > ?", (now,)))

    @contextmanager
    def replacing(self, _now: float) -> Iterator[SqliteReplacement]:
        """In the place of all grants and refresh tokens, what is added in the block: all of it at the end of the block, or nothing."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM grants")
            connection.execute("DELETE FROM refresh_tokens")
            yield SqliteReplacement(connection)


class SqliteReplacement:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: Grant | KeptRefreshToken) -> None:
        if isinstance(record, Grant):
            self._connection.execute(
                "INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?)", (record.grant_id, record.expires_at, record.created_at, dump(record)))
            return
        token = record.token
        self._connection.execute("INSERT OR REPLACE INTO refresh_tokens VALUES (?, ?, ?, ?, ?, ?)", (
            record.digest, token.expires_at, token.rotated_at, token.dead, record.successor, dump(token)))
