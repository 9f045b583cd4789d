"""What MCP keeps between requests, in the SQLite file of the hot state: journals, sessions, chats and what the lists looked like."""

from __future__ import annotations

import json

from mcp_server.mcp.ports import MOST_SUBSCRIPTIONS, Entry, Seen, SessionRecord
from mcp_server.storage.sqlite_file import SqliteFile

READ_AT_ONCE = 500


class SqliteJournals:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def append(self, journal: str, content: bytes, *, until: float, now: float) -> str:  # noqa: ARG002 - Redis trims by it
        [(position,)] = self._file.run(
            "INSERT INTO journals (journal, expires_at, content) VALUES (?, ?, ?) RETURNING position", (journal, until, content))
        return str(position)

    def end(self, journal: str) -> str:
        """The end of all journals: positions are shared, so nothing of this one lies between."""
        del journal
        rows = self._file.run("SELECT seq FROM sqlite_sequence WHERE name = 'journals'")
        return str(rows[0][0]) if rows else "0"

    def after(self, journal: str, position: str, now: float) -> list[Entry]:
        rows = self._file.run(
            "SELECT position, content FROM journals WHERE journal = ? AND position > ? AND expires_at > ? ORDER BY position LIMIT ?",
            (journal, _number(position), now, READ_AT_ONCE))
        return [Entry(str(number), content) for number, content in rows]


class SqliteSessions:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def find(self, session_id: str, now: float) -> SessionRecord:
        rows = self._file.run("SELECT ended, log_level FROM sessions WHERE session_id = ? AND expires_at > ?", (session_id, now))
        uris = self._file.run("SELECT uri FROM session_subscriptions WHERE session_id = ? AND expires_at > ?", (session_id, now))
        ended, log_level = rows[0] if rows else (False, None)
        return SessionRecord(bool(ended), log_level, frozenset(uri for (uri,) in uris))

    def end(self, session_id: str, until: float) -> None:
        self._file.run(
            "INSERT INTO sessions (session_id, expires_at, ended) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET ended = 1", (session_id, until))

    def set_log_level(self, session_id: str, level: str, until: float) -> None:
        self._file.run(
            """INSERT INTO sessions (session_id, expires_at, log_level) VALUES (?, ?, ?)
            ON CONFLICT DO UPDATE SET log_level = excluded.log_level""", (session_id, until, level))

    def subscribe(self, session_id: str, uri: str, until: float) -> bool:
        return bool(self._file.run(
            """INSERT INTO session_subscriptions SELECT ?1, ?2, ?3
            WHERE (SELECT count(*) FROM session_subscriptions WHERE session_id = ?1 AND uri != ?2) < ?4
            ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at RETURNING 1""", (session_id, uri, until, MOST_SUBSCRIPTIONS)))

    def unsubscribe(self, session_id: str, uri: str, until: float) -> None:  # noqa: ARG002 - Redis keeps the session until then
        self._file.run("DELETE FROM session_subscriptions WHERE session_id = ? AND uri = ?", (session_id, uri))


class SqliteListings:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def see(self, name: str, digest: str, *, until: float, now: float) -> Seen:
        changed = self._file.run(
            """INSERT INTO listings VALUES (?1, ?2, ?3, NULL) ON CONFLICT DO UPDATE
            SET changed_at = CASE WHEN expires_at > ?4 THEN ?4 END, digest = excluded.digest, expires_at = excluded.expires_at
            WHERE digest != excluded.digest RETURNING changed_at""", (name, until, digest, now))
        rows = changed or self._file.run("UPDATE listings SET expires_at = ? WHERE name = ? RETURNING changed_at", (until, name))
        changed_at = rows[0][0] if rows else None
        return Seen(bool(changed) and changed_at is not None, changed_at)


class SqliteChats:
    """A chat is one row: a JSON array of its turns."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def add(self, chat: str, turn: bytes, *, most: int, until: float, now: float) -> None:
        self._file.run(
            """INSERT INTO chats VALUES (?1, ?2, json_array(?3)) ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at, turns = CASE
            WHEN expires_at <= ?4 THEN excluded.turns
            WHEN json_array_length(turns) >= ?5 THEN json_remove(json_insert(turns, '$[#]', ?3), '$[0]')
            ELSE json_insert(turns, '$[#]', ?3) END""", (chat, until, turn.decode(), now, most))

    def turns(self, chat: str, now: float) -> list[bytes]:
        rows = self._file.run("SELECT turns FROM chats WHERE chat = ? AND expires_at > ?", (chat, now))
        return [turn.encode() for turn in json.loads(rows[0][0])] if rows else []


def _number(position: str) -> int:
    """A position that is none of ours is before all others."""
    return int(position) if position.isascii() and position.isdigit() and len(position) < 19 else 0  # noqa: PLR2004 SQLite's integers
