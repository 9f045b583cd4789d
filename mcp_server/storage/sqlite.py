"""The hot state in one SQLite file, for all workers of one machine: the default, without a second process.

A row past its time is never answered, whether it was swept or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from sqlite3 import Connection

from mcp_server.oauth.models import AuthorizationCode, DeviceAuthorization, Grant, RefreshToken, Revocation, Rotation
from mcp_server.oauth.ports import Admission
from mcp_server.storage.records import SLOWER_BY, dump, load, window_of
from mcp_server.storage.sqlite_conversations import SqliteChats, SqliteJournals, SqliteListings, SqliteSessions
from mcp_server.storage.sqlite_file import SqliteFile
from mcp_server.storage.sqlite_model_slots import SqliteModelSlots
from mcp_server.storage.sqlite_schema import SCHEMA, SUBJECT, SWEPT, SWEPT_AT_ONCE
from mcp_server.storage.sqlite_snapshot import SqliteSnapshot
from mcp_server.storage.sqlite_tasks import SqliteTasks

PROBE_KEPT = 60


class SqliteState:
    """The hot state in the file at `path`. Nothing is opened until it is used; one connection a process."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, SCHEMA)
        self.grants = SqliteGrants(self._file)
        self.codes = SqliteAuthorizationCodes(self._file)
        self.devices = SqliteDeviceAuthorizations(self._file)
        self.refresh_tokens = SqliteRefreshTokens(self._file)
        self.single_use = SqliteSingleUse(self._file)
        self.revocations = SqliteRevocationCopy(self._file)
        self.journals = SqliteJournals(self._file)
        self.sessions = SqliteSessions(self._file)
        self.listings = SqliteListings(self._file)
        self.chats = SqliteChats(self._file)
        self.tasks = SqliteTasks(self._file)
        self.model_slots = SqliteModelSlots(self._file)
        self.snapshot = SqliteSnapshot(self._file)

    def ping(self) -> None:
        """Raises StoreUnavailable when the file cannot be read."""
        self._file.run("SELECT count(*) FROM revocations_complete")

    def write(self, now: float) -> None:
        """Raises StoreUnavailable when the file takes nothing: its disk is full, or it may only be read."""
        self._file.run("INSERT INTO hits VALUES ('probe', ?, 1) ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at", (now + PROBE_KEPT,))

    def sweep(self, now: float) -> int:
        """Delete what has expired, at most 500 rows a table so that nobody waits long. How many it were."""
        return sum(
            len(self._file.run(
                f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE expires_at <= ? LIMIT {SWEPT_AT_ONCE}) RETURNING 1",  # noqa: S608 - our own names
                (now,)))
            for table, key in SWEPT
        )

    def close(self) -> None:
        self._file.close()


class SqliteGrants:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def add(self, grant: Grant) -> None:
        self._file.run("INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?)", (grant.grant_id, grant.expires_at, grant.created_at, dump(grant)))

    def find(self, grant_id: str, now: float) -> Grant | None:
        rows = self._file.run("SELECT record FROM grants WHERE grant_id = ? AND expires_at > ?", (grant_id, now))
        return load(Grant, rows[0][0]) if rows else None

    def of_subject(self, subject: str, now: float) -> list[Grant]:
        rows = self._file.run(
            f"SELECT record FROM grants WHERE {SUBJECT} = ? AND expires_at > ? ORDER BY created_at DESC, grant_id", (subject, now))  # noqa: S608 - our own words
        return [load(Grant, record) for (record,) in rows]

    def all(self, now: float) -> list[Grant]:
        rows = self._file.run("SELECT record FROM grants WHERE expires_at > ? ORDER BY created_at DESC, grant_id", (now,))
        return [load(Grant, record) for (record,) in rows]


class SqliteAuthorizationCodes:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def add(self, code_digest: str, code: AuthorizationCode) -> None:
        self._file.run(
            "INSERT INTO authorization_codes VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (code_digest, code.expires_at, code.claimed, dump(code)))

    def find(self, code_digest: str, now: float) -> AuthorizationCode | None:
        rows = self._file.run("SELECT record, claimed FROM authorization_codes WHERE code_digest = ? AND expires_at > ?", (code_digest, now))
        return load(AuthorizationCode, rows[0][0], claimed=bool(rows[0][1])) if rows else None

    def claim(self, code_digest: str, now: float) -> bool:
        return bool(self._file.run(
            "UPDATE authorization_codes SET claimed = 1 WHERE code_digest = ? AND expires_at > ? AND NOT claimed RETURNING 1", (code_digest, now)))


class SqliteDeviceAuthorizations:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def add(self, device_code_digest: str, user_code_digest: str, device: DeviceAuthorization, now: float) -> bool:
        return bool(self._file.run(
            """INSERT INTO device_authorizations SELECT ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ? WHERE NOT EXISTS
            (SELECT 1 FROM device_authorizations WHERE user_code_digest = ? AND codes_expire_at > ?) RETURNING 1""",
            (device_code_digest, user_code_digest, device.expires_at, device.codes_expire_at, device.interval, device.approved, device.subject,
             device.grant_id, device.claimed, dump(device), user_code_digest, now)))

    def find(self, device_code_digest: str, now: float) -> DeviceAuthorization | None:
        return self._one("device_code_digest = ? AND expires_at > ?", device_code_digest, now)

    def find_by_user_code(self, user_code_digest: str, now: float) -> DeviceAuthorization | None:
        return self._one("user_code_digest = ? AND codes_expire_at > ?", user_code_digest, now)

    def _one(self, condition: str, digest: str, now: float) -> DeviceAuthorization | None:
        rows = self._file.run(
            f"SELECT record, interval, approved, subject, grant_id, claimed FROM device_authorizations WHERE {condition}",  # noqa: S608 - our own words
            (digest, now))
        if not rows:
            return None
        record, interval, approved, subject, grant_id, claimed = rows[0]
        return load(DeviceAuthorization, record, interval=interval, approved=None if approved is None else bool(approved), subject=subject,
                    grant_id=grant_id, claimed=bool(claimed))

    def decide(self, user_code_digest: str, *, approved: bool, subject: str, grant_id: str, now: float) -> bool:
        return bool(self._file.run(
            """UPDATE device_authorizations SET approved = ?, subject = ?, grant_id = ?
            WHERE user_code_digest = ? AND codes_expire_at > ? AND approved IS NULL RETURNING 1""",
            (approved, subject, grant_id, user_code_digest, now)))

    def poll(self, device_code_digest: str, now: float, *, leeway: float) -> bool:
        with self._file.transaction() as connection:
            row = connection.execute(
                "SELECT polled_at + interval - ? > ? FROM device_authorizations WHERE device_code_digest = ?",
                (leeway, now, device_code_digest)).fetchone()
            early = bool(row and row[0])
            connection.execute(
                "UPDATE device_authorizations SET polled_at = ?, interval = interval + ? WHERE device_code_digest = ?",
                (now, SLOWER_BY if early else 0, device_code_digest))
        return not early

    def claim(self, device_code_digest: str, now: float) -> bool:
        return bool(self._file.run(
            """UPDATE device_authorizations SET claimed = 1
            WHERE device_code_digest = ? AND codes_expire_at > ? AND approved AND NOT claimed RETURNING 1""", (device_code_digest, now)))


class SqliteRefreshTokens:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def add(self, token_digest: str, token: RefreshToken) -> None:
        with self._file.transaction() as connection:
            _insert_refresh_token(connection, token_digest, token)

    def find(self, token_digest: str, now: float) -> RefreshToken | None:
        rows = self._file.run(
            "SELECT record, rotated_at, dead FROM refresh_tokens WHERE token_digest = ? AND expires_at > ?", (token_digest, now))
        return load(RefreshToken, rows[0][0], rotated_at=rows[0][1], dead=bool(rows[0][2])) if rows else None

    def rotate(self, token_digest: str, successor_digest: str, successor: RefreshToken, *, now: float, grace: float) -> Rotation:
        with self._file.transaction() as connection:
            outcome = _use_up(connection, token_digest, now, grace)
            if outcome in (Rotation.ROTATED, Rotation.REPEATED):
                connection.execute("UPDATE refresh_tokens SET successor_digest = ? WHERE token_digest = ?", (successor_digest, token_digest))
                _insert_refresh_token(connection, successor_digest, successor)
        return outcome


def _insert_refresh_token(connection: Connection, token_digest: str, token: RefreshToken) -> None:
    connection.execute(
        "INSERT INTO refresh_tokens VALUES (?, ?, ?, ?, NULL, ?)", (token_digest, token.expires_at, token.rotated_at, token.dead, dump(token)))


def _use_up(connection: Connection, token_digest: str, now: float, grace: float) -> Rotation:
    """Mark the token rotated; or, if it was within `grace` seconds, kill the successor it has, if that is still live."""
    row = connection.execute(
        "SELECT rotated_at, dead, successor_digest FROM refresh_tokens WHERE token_digest = ? AND expires_at > ?", (token_digest, now)).fetchone()
    if row is None:
        return Rotation.UNKNOWN
    rotated_at, dead, former_successor = row
    if dead:
        return Rotation.REUSED
    if rotated_at is None:
        connection.execute("UPDATE refresh_tokens SET rotated_at = ? WHERE token_digest = ?", (now, token_digest))
        return Rotation.ROTATED
    if grace <= 0 or now - rotated_at > grace:
        return Rotation.REUSED
    killed = connection.execute(
        "UPDATE refresh_tokens SET dead = 1 WHERE token_digest = ? AND expires_at > ? AND rotated_at IS NULL AND NOT dead",
        (former_successor, now)).rowcount
    return Rotation.REPEATED if killed else Rotation.REUSED


class SqliteSingleUse:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def claim(self, single_use_id: str, until: float, now: float) -> bool:
        """Also False when `until` has passed: there is no time in which it could be the first."""
        return until > now and bool(self._file.run(
            "INSERT INTO single_use VALUES (?, ?) ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at WHERE expires_at <= ? RETURNING 1",
            (single_use_id, until, now)))

    def settle(self, question: str, answer: str, until: float, now: float) -> tuple[str, float]:
        [(settled, answered_at)] = self._file.run(
            """INSERT INTO answers VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
            answer = CASE WHEN expires_at <= ?4 THEN excluded.answer ELSE answer END,
            answered_at = CASE WHEN expires_at <= ?4 THEN excluded.answered_at ELSE answered_at END,
            expires_at = CASE WHEN expires_at <= ?4 THEN excluded.expires_at ELSE expires_at END RETURNING answer, answered_at""",
            (question, until, answer, now))
        return settled, answered_at


class SqliteRevocationCopy:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def put(self, revocations: Iterable[Revocation], now: float) -> None:
        rows = [(revocation.revoked_id, revocation.until) for revocation in revocations if revocation.until > now]
        with self._file.transaction() as connection:
            connection.executemany(
                "INSERT INTO revocations VALUES (?, ?) ON CONFLICT DO UPDATE SET expires_at = max(expires_at, excluded.expires_at)", rows)

    def mark_complete(self) -> None:
        self._file.run("INSERT OR IGNORE INTO revocations_complete VALUES (1)")

    def any_revoked(self, revoked_ids: Sequence[str], now: float) -> bool | None:
        [(revoked, complete)] = self._file.run(_look_up(len(revoked_ids)), (*revoked_ids, now))
        return True if revoked else False if complete else None

    def admit(self, revoked_ids: Sequence[str], counter: str, window: int, now: float) -> Admission:
        """One statement. An empty `counter` is not counted: `hits` is 0."""
        name, seconds_left = window_of(counter, window, now)
        if counter:
            [(revoked, complete, hits)] = self._file.run(
                _count_and_look_up(len(revoked_ids)), (name, now + seconds_left, *revoked_ids, now))
        else:
            [(revoked, complete)] = self._file.run(_look_up(len(revoked_ids)), (*revoked_ids, now))
            hits = 0
        return Admission(bool(revoked), bool(complete), hits, seconds_left)


@lru_cache
def _look_up(ids: int) -> str:
    return f"SELECT {_revoked_and_complete(ids)}"


@lru_cache
def _count_and_look_up(ids: int) -> str:
    return f"INSERT INTO hits VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET hits = hits + 1 RETURNING {_revoked_and_complete(ids)}, hits"  # noqa: S608 - only a number is filled in


def _revoked_and_complete(ids: int) -> str:
    marks = ", ".join("?" * ids)
    return (
        f"EXISTS (SELECT 1 FROM revocations WHERE revoked_id IN ({marks}) AND expires_at > ?),"  # noqa: S608 - only marks are filled in
        " EXISTS (SELECT 1 FROM revocations_complete)")
