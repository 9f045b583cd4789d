"""The durable state: clients, users, keys and the ledger of revocations, in SQLite or PostgreSQL.

What a method of this file has returned from survives a crash. The tables are made by `migrate()`.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mcp_server.oauth.models import Client, InitialAccessToken, Revocation, SigningKey, User
from mcp_server.storage import registry_tables as tables
from mcp_server.storage.database import Database
from mcp_server.storage.registry_snapshot import REVOCATIONS_LOCK, RegistrySnapshot

_SIGNING_KEYS_LOCK = 0x6D63705F6B657973
"""PostgreSQL's number for: somebody adds a signing key."""


class Registry:
    """The durable state in the database at `database_url`. Nothing connects until it is used."""

    def __init__(self, database_url: str) -> None:
        self._database = Database(database_url)
        self.clients = Clients(self._database)
        self.users = Users(self._database)
        self.initial_access_tokens = InitialAccessTokens(self._database)
        self.signing_keys = SigningKeys(self._database)
        self.imports = Imports(self._database)
        self.revocations = Revocations(self._database)
        self.snapshot = RegistrySnapshot(database_url)

    def ping(self) -> None:
        """Raises StoreUnavailable when the database does not answer."""
        with self._database.reading() as connection:
            connection.execute(select(1))

    def write(self, now: float) -> None:
        """Raises StoreUnavailable when the database takes nothing: its disk is full, or it may only be read. Leaves nothing behind."""
        probe = f"probe {uuid.uuid4()}"
        with self._database.writing() as connection:
            connection.execute(insert(tables.imports).values(content_digest=probe, imported_at=now))
            connection.execute(delete(tables.imports).where(tables.imports.c.content_digest == probe))

    def close(self) -> None:
        self._database.close()


class Clients:
    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, client_id: str) -> Client | None:
        with self._database.reading() as connection:
            row = connection.execute(select(tables.clients).where(tables.clients.c.client_id == client_id)).mappings().one_or_none()
        return _client(row) if row else None

    def add(self, client: Client) -> None:
        with self._database.writing(taken=f"There is a client {client.client_id!r} already.") as connection:
            connection.execute(insert(tables.clients).values(_columns(client)))

    def replace(self, client: Client) -> bool:
        with self._database.writing() as connection:
            columns = _columns(client)
            del columns["last_used_at"]  # whoever changes a client read it a while ago
            changed = connection.execute(update(tables.clients).where(tables.clients.c.client_id == client.client_id).values(columns))
        return changed.rowcount == 1

    def remove(self, client_id: str) -> bool:
        with self._database.writing() as connection:
            return connection.execute(delete(tables.clients).where(tables.clients.c.client_id == client_id)).rowcount == 1

    def touch(self, client_id: str, now: float) -> None:
        column = tables.clients.c
        later = (column.client_id == client_id, or_(column.last_used_at.is_(None), column.last_used_at < now))
        with self._database.writing() as connection:
            connection.execute(update(tables.clients).where(*later).values(last_used_at=now))

    def remove_unused(self, client_id: str, since: float) -> bool:
        column = tables.clients.c
        unused = (column.client_id == client_id, column.created_at < since, or_(column.last_used_at.is_(None), column.last_used_at < since))
        with self._database.writing() as connection:
            return connection.execute(delete(tables.clients).where(*unused)).rowcount == 1

    def all(self) -> list[Client]:
        newest_first = select(tables.clients).order_by(tables.clients.c.created_at.desc(), tables.clients.c.client_id)
        with self._database.reading() as connection:
            return [_client(row) for row in connection.execute(newest_first).mappings()]


class Users:
    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, username: str) -> User | None:
        return self._find(tables.users.c.folded_username == username.casefold())

    def find_by_id(self, user_id: str) -> User | None:
        return self._find(tables.users.c.user_id == user_id)

    def find_by_identity(self, issuer: str, external_subject: str) -> User | None:
        return self._find(and_(tables.users.c.issuer == issuer, tables.users.c.external_subject == external_subject))

    def add(self, user: User) -> None:
        with self._database.writing(taken=f"There is a user {user.username!r} already.") as connection:
            connection.execute(insert(tables.users).values(_user_columns(user)))

    def replace(self, user: User) -> bool:
        """Raises ValueError when the name was changed to one that is taken."""
        with self._database.writing(taken=f"There is a user {user.username!r} already.") as connection:
            changed = connection.execute(update(tables.users).where(tables.users.c.user_id == user.user_id).values(_user_columns(user)))
        return changed.rowcount == 1

    def rename(self, user_id: str, username: str) -> bool:
        names = {"username": username, "folded_username": username.casefold()}
        with self._database.writing(taken=f"There is a user {username!r} already.") as connection:
            return connection.execute(update(tables.users).where(tables.users.c.user_id == user_id).values(names)).rowcount == 1

    def remove(self, username: str) -> bool:
        with self._database.writing() as connection:
            return connection.execute(delete(tables.users).where(tables.users.c.folded_username == username.casefold())).rowcount == 1

    def all(self) -> list[User]:
        """By name."""
        with self._database.reading() as connection:
            return [_user(row) for row in connection.execute(select(tables.users).order_by(tables.users.c.folded_username)).mappings()]

    def _find(self, condition: Any) -> User | None:
        with self._database.reading() as connection:
            row = connection.execute(select(tables.users).where(condition)).mappings().one_or_none()
        return _user(row) if row else None


class InitialAccessTokens:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, token: InitialAccessToken) -> None:
        with self._database.writing() as connection:
            connection.execute(insert(tables.initial_access_tokens).values(_columns(token)))

    def use(self, token_digest: str, now: float) -> InitialAccessToken | None:
        column = tables.initial_access_tokens.c
        usable = (
            column.token_digest == token_digest,
            or_(column.expires_at.is_(None), column.expires_at > now),
            or_(column.uses_left.is_(None), column.uses_left > 0),
        )
        count_one = update(tables.initial_access_tokens).where(*usable).values(uses_left=column.uses_left - 1)
        with self._database.writing() as connection:
            row = connection.execute(count_one.returning(tables.initial_access_tokens)).mappings().one_or_none()
        return InitialAccessToken(**row) if row else None

    def give_back(self, token_id: str) -> None:
        column = tables.initial_access_tokens.c
        with self._database.writing() as connection:
            connection.execute(update(tables.initial_access_tokens).where(column.token_id == token_id).values(uses_left=column.uses_left + 1))

    def remove(self, token_id: str) -> bool:
        column = tables.initial_access_tokens.c
        with self._database.writing() as connection:
            return connection.execute(delete(tables.initial_access_tokens).where(column.token_id == token_id)).rowcount == 1

    def all(self) -> list[InitialAccessToken]:
        """Newest first."""
        column = tables.initial_access_tokens.c
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.initial_access_tokens).order_by(column.created_at.desc(), column.token_id))
            return [InitialAccessToken(**row) for row in rows.mappings()]


class SigningKeys:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add_first(self, key: SigningKey) -> bool:
        with self._database.writing() as connection:
            self._take_turns(connection)
            if connection.execute(select(tables.signing_keys.c.kid).limit(1)).first() is not None:
                return False
            connection.execute(insert(tables.signing_keys).values(_columns(key)))
            return True

    def succeed(self, key: SigningKey, retires_at: float) -> None:
        with self._database.writing() as connection:
            self._take_turns(connection)
            connection.execute(update(tables.signing_keys).where(tables.signing_keys.c.retired_at.is_(None)).values(retired_at=retires_at))
            connection.execute(insert(tables.signing_keys).values(_columns(key)))

    def rewrap(self, kid: str, encrypted_jwk: str) -> bool:
        with self._database.writing() as connection:
            changed = connection.execute(update(tables.signing_keys).where(tables.signing_keys.c.kid == kid).values(encrypted_jwk=encrypted_jwk))
        return changed.rowcount == 1

    def remove(self, kid: str) -> bool:
        with self._database.writing() as connection:
            return connection.execute(delete(tables.signing_keys).where(tables.signing_keys.c.kid == kid)).rowcount == 1

    def all(self) -> list[SigningKey]:
        """Newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tables.signing_keys).order_by(tables.signing_keys.c.created_at.desc(), tables.signing_keys.c.kid))
            return [SigningKey(**row) for row in rows.mappings()]

    def _take_turns(self, connection: Connection) -> None:
        """SQLite's writers do so anyway."""
        if self._database.postgresql:
            connection.execute(select(func.pg_advisory_xact_lock(_SIGNING_KEYS_LOCK)))


class Imports:
    def __init__(self, database: Database) -> None:
        self._database = database

    def take_over(self, content_digest: str, clients: Sequence[Client], now: float) -> int:
        dialect = postgresql if self._database.postgresql else sqlite
        content = dialect.insert(tables.imports).values(content_digest=content_digest, imported_at=now).on_conflict_do_nothing()
        with self._database.writing() as connection:
            if connection.execute(content.returning(tables.imports.c.content_digest)).first() is None:
                return 0
            rows = [dialect.insert(tables.clients).values(_columns(client)).on_conflict_do_nothing() for client in clients]
            return sum(connection.execute(row.returning(tables.clients.c.client_id)).first() is not None for row in rows)


class Revocations:
    """The ledger. An id may be recorded again, for longer: each time is an entry of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, revoked_ids: Iterable[str], until: float) -> None:
        rows = [{"revoked_id": revoked_id, "until": until} for revoked_id in revoked_ids]
        if not rows:
            return
        with self._database.writing() as connection:
            if self._database.postgresql:
                # Numbers are given out before the commit. Without taking turns a lower one could be committed after a
                # higher one was read, and whoever reads on from the higher one would never see it.
                connection.execute(select(func.pg_advisory_xact_lock(REVOCATIONS_LOCK)))
            connection.execute(insert(tables.revocations), rows)

    def any_revoked(self, revoked_ids: Sequence[str], now: float) -> bool:
        column = tables.revocations.c
        found = select(column.sequence).where(column.revoked_id.in_(revoked_ids), column.until > now).limit(1)
        with self._database.reading() as connection:
            return connection.execute(found).first() is not None

    def since(self, sequence: int, now: float) -> list[Revocation]:
        """No entry is ever missed by asking again with the highest sequence seen."""
        column = tables.revocations.c
        in_force = select(tables.revocations).where(column.sequence > sequence, column.until > now).order_by(column.sequence)
        with self._database.reading() as connection:
            return [Revocation(*row) for row in connection.execute(in_force)]

    def sweep(self, now: float) -> None:
        with self._database.writing() as connection:
            connection.execute(delete(tables.revocations).where(tables.revocations.c.until <= now))


def _columns(record: Client | InitialAccessToken | SigningKey) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _client(row: Any) -> Client:
    sequences = ("redirect_uris", "grant_types", "response_types", "client_secret_digests")  # JSON knows no tuples
    return Client(**{**row, **{name: tuple(row[name]) for name in sequences}})


def _user_columns(user: User) -> dict[str, Any]:
    fields = {field.name: getattr(user, field.name) for field in dataclasses.fields(user)}
    return {**fields, "folded_username": user.username.casefold()}


def _user(row: Any) -> User:
    return User(**{name: value for name, value in row.items() if name != "folded_username"})
