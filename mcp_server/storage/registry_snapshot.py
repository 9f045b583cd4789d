"""The registry as a whole: read as it is at one moment, and replaced in one transaction. For backups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select

from mcp_server.storage import registry_tables as tables
from mcp_server.storage.database import Database
from mcp_server.storage.migrations import migrate, revision

PATIENCE = 60.0
"""Seconds that one statement may take: there may be much to read."""
AT_ONCE = 500
KINDS: dict[str, Table] = {
    "clients": tables.clients, "users": tables.users, "initial_access_tokens": tables.initial_access_tokens, "signing_keys": tables.signing_keys,
    "imports": tables.imports}
REVOCATIONS = "revocations"
REVOCATIONS_LOCK = 0x6D63705F7265766F
"""PostgreSQL's number for: somebody records revocations."""


class UnknownColumn(Exception):
    """A row has a part that this release has no column for."""


class RegistrySnapshot:
    """Opens a connection of its own for each method, and closes it."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    @property
    def kind(self) -> str:
        return "postgresql" if Database(self._url).postgresql else "sqlite"

    def revision(self) -> str:
        """The last step of the schema that was taken. Raises StoreUnavailable."""
        return revision(self._url)

    def rows(self, now: float) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every row with the name of its table, and the revocations in force, all as of one moment. Writers are not held up."""
        with self._database() as database, database.snapshot() as connection:
            for name, table in KINDS.items():
                columns = [str.__str__(column.name) for column in table.c]  # SQLAlchemy's are a kind of string of their own
                for row in connection.execution_options(yield_per=AT_ONCE).execute(select(table)):
                    yield name, dict(zip(columns, row, strict=True))
            for revoked_id, until in _in_force(connection, now).items():
                yield REVOCATIONS, {"revoked_id": revoked_id, "until": until}

    def counts(self) -> dict[str, int]:
        """The rows of each table. All 0 where there are no tables yet."""
        migrate(self._url)
        with self._database() as database, database.snapshot() as connection:
            return {name: connection.execute(select(func.count()).select_from(table)).scalar_one() for name, table in KINDS.items()}

    def revocations(self, now: float) -> dict[str, float]:
        """Until when each id is revoked."""
        with self._database() as database, database.snapshot() as connection:
            return _in_force(connection, now)

    def disabled_users(self) -> set[str]:
        with self._database() as database, database.snapshot() as connection:
            return set(connection.execute(select(tables.users.c.user_id).where(tables.users.c.disabled)).scalars())

    @contextmanager
    def replacing(self) -> Iterator[RegistryReplacement]:
        """In the place of everything but the revocations, what is added in the block: all of it at the end of the block, or nothing."""
        with self._database() as database, database.writing(taken="Two rows of the backup contradict each other.") as connection:
            for table in KINDS.values():
                connection.execute(delete(table))
            replacement = RegistryReplacement(connection, postgresql=database.postgresql)
            yield replacement
            replacement.flush()

    @contextmanager
    def _database(self) -> Iterator[Database]:
        database = Database(self._url, patience=PATIENCE)
        try:
            yield database
        finally:
            database.close()


class RegistryReplacement:
    def __init__(self, connection: Connection, *, postgresql: bool) -> None:
        self._connection, self._postgresql = connection, postgresql
        self._table: Table | None = None
        self._rows: list[Mapping[str, Any]] = []

    def add(self, kind: str, row: Mapping[str, Any]) -> None:
        """Raises UnknownColumn."""
        table = KINDS[kind]
        if not row.keys() <= set(table.c.keys()):
            raise UnknownColumn(kind)
        if table is not self._table or len(self._rows) >= AT_ONCE or (self._rows and row.keys() != self._rows[0].keys()):
            self.flush()
        self._table = table
        self._rows.append(row)

    def revoke(self, revocations: Mapping[str, float]) -> None:
        """As new entries of the ledger, so that workers which follow it hear of them."""
        if self._postgresql:  # as in `registry.Revocations.record`
            self._connection.execute(select(func.pg_advisory_xact_lock(REVOCATIONS_LOCK)))
        entries = [{"revoked_id": revoked_id, "until": until} for revoked_id, until in revocations.items()]
        for start in range(0, len(entries), AT_ONCE):
            self._connection.execute(insert(tables.revocations), entries[start:start + AT_ONCE])

    def flush(self) -> None:
        rows, self._rows = self._rows, []
        if rows and self._table is not None:
            self._connection.execute(insert(self._table), rows)


def _in_force(connection: Connection, now: float) -> dict[str, float]:
    column = tables.revocations.c
    found = select(column.revoked_id, func.max(column.until).label("until")).where(column.until > now).group_by(column.revoked_id)
    return {row.revoked_id: row.until for row in connection.execute(found)}
