"""One SQLite file, shared by all processes of a machine; one connection a process."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from mcp_server.clock import elapsed
from mcp_server.concurrency import native_lock
from mcp_server.errors import StoreUnavailable

BUSY_TIMEOUT = 2.0
"""Seconds; short, because who waits for the lock stops every greenlet of the worker."""

LOOK_EVERY = 1.0
"""Seconds after which a process looks whether its file is still the one at the path."""

_REOPEN_AFTER = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB})
_PRIMARY = 0xFF

_creating = threading.Lock()


def must_reopen(error: BaseException | None) -> bool:
    """Whether a connection keeps what is wrong with it: a file that was damaged, replaced, or once opened read-only."""
    return isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", None) or 0) & _PRIMARY in _REOPEN_AFTER


def identity(path: Path | str) -> tuple[int, int]:
    """Which file is at the path. Raises FileNotFoundError."""
    found = os.stat(path)  # noqa: PTH116 -- half as long as Path.stat
    return found.st_dev, found.st_ino


def make_private(path: Path) -> None:
    """See that the file exists, with mode 0600 when it is made now; SQLite gives `-wal` and `-shm` the same mode.

    An existing file is not opened: to close it again would take away the locks that SQLite holds on it in this process.
    """
    with _creating:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        except FileExistsError:
            return
        os.fchmod(descriptor, 0o600)  # whatever the umask is
        os.close(descriptor)


def use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL. Processes that do so at the same moment get "database is locked" without being made to wait."""
    for _ in range(10):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            connection.execute("BEGIN IMMEDIATE")  # waits for the other one
            connection.execute("ROLLBACK")
        else:
            return
    connection.execute("PRAGMA journal_mode=WAL")


class SqliteFile:
    """Runs statements on the file at `path`, whose tables are made when it is first used.

    Opened lazily and never shared over a fork. Every failure is StoreUnavailable.
    """

    def __init__(self, path: Path, schema: Sequence[str]) -> None:
        self.path = path
        self._schema = schema
        self._process: _Process | None = None
        self._inherited: list[_Process] = []  # closed in a child, a connection would disturb its parent's

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """One statement, which is a transaction of its own. All its rows."""
        process = self._opened()
        try:
            with process.lock:
                return process.connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            self._drop_if_spoiled(process, error)
            raise self._unavailable(error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All statements or none, and no other writer between them.

        The block must not wait for anything: greenlets that came to write would stop the worker inside SQLite, and the
        one that holds the lock could never go on.
        """
        process = self._opened()
        try:
            with process.lock:
                yield from _all_or_nothing(process.connection)
        except sqlite3.Error as error:
            self._drop_if_spoiled(process, error)
            raise self._unavailable(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """The file as it is now, on a connection of its own, which holds up no writer."""
        self._opened()  # so that the tables are there
        try:
            with closing(sqlite3.connect(self.path, isolation_level=None, timeout=BUSY_TIMEOUT)) as connection:
                connection.execute("BEGIN")
                yield connection
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    def close(self) -> None:
        process, self._process = self._process, None
        if process and process.pid == os.getpid():
            process.connection.close()

    def _opened(self) -> _Process:
        process = self._process
        if process is None or process.pid != os.getpid():
            return self._open()
        if (now := elapsed()) >= process.look_at:
            process.look_at = now + LOOK_EVERY
            if not process.is_at(self.path):  # deleted, or another one put in its place: what is written here would be lost
                self._drop(process)
                return self._open()
        return process

    def _drop_if_spoiled(self, process: _Process, error: sqlite3.Error) -> None:
        if must_reopen(error):
            self._drop(process)

    def _drop(self, process: _Process) -> None:
        if self._process is process:
            self._process = None
        with process.lock:
            process.connection.close()

    def _open(self) -> _Process:
        if self._process:
            self._inherited.append(self._process)
        try:
            make_private(self.path)
            process = _Process(self.path, self._schema)
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from error
        self._process = process
        return process

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(detail=f"{self.path}: {error}")


class _Process:
    """What one process has open. The lock is for its real threads: greenlets cannot come between, as SQLite never yields."""

    def __init__(self, path: Path, schema: Sequence[str]) -> None:
        self.pid = os.getpid()
        self.lock = native_lock()
        self.look_at = elapsed() + LOOK_EVERY
        self._identity = identity(path)
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT, check_same_thread=False)
        try:
            use_wal(self.connection)
            self.connection.execute("PRAGMA synchronous=NORMAL")
            for statement in schema:
                self.connection.execute(statement)
        except sqlite3.Error:
            self.connection.close()
            raise

    def is_at(self, path: Path) -> bool:
        try:
            return identity(path) == self._identity
        except FileNotFoundError:
            return False


def _all_or_nothing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
