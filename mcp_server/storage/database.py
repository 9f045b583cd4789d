"""One database, SQLite or PostgreSQL: how it is opened, read and written, and what its failures become."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOENT
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DisconnectionError, IntegrityError, SQLAlchemyError

from mcp_server.errors import StoreUnavailable
from mcp_server.storage.sqlite_file import BUSY_TIMEOUT, identity, make_private, must_reopen, use_wal

_READS, _SNAPSHOT = "reads", "snapshot"


class Database:
    """Nothing connects until it is used; each process has connections of its own. Every failure is StoreUnavailable."""

    def __init__(self, database_url: str, *, patience: float | None = None, create: bool = False) -> None:
        """`patience`: the seconds that a statement may take, on SQLite that it may wait for the lock. `create`: make a file that is not there."""
        self.url = make_url(database_url)
        if self.url.get_backend_name() == "sqlite" and not self.url.database:
            raise ValueError("The database URL must name a file: sqlite:///PATH.")
        self._patience, self._create = patience, create
        self._engine: Engine | None = None
        self._pid = 0
        self._inherited: list[Engine] = []  # their connections belong to the parent process
        self._creating = threading.Lock()

    @property
    def postgresql(self) -> bool:
        return self.url.get_backend_name() == "postgresql"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Each statement sees what is committed when it starts."""
        with self._failures_as_store_unavailable(), self._own_engine().connect() as connection:
            options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if self.postgresql else {_READS: True}
            yield connection.execution_options(**options)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """All statements see what is committed when the first one starts, and hold up nobody."""
        with self._failures_as_store_unavailable(), self._own_engine().connect() as connection:
            options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if self.postgresql else {_SNAPSHOT: True}
            yield connection.execution_options(**options)

    @contextmanager
    def writing(self, *, taken: str | None = None) -> Iterator[Connection]:
        """All or nothing, committed at the end. With `taken`, a row that is already there is ValueError(taken)."""
        with self._failures_as_store_unavailable(taken), self._own_engine().begin() as connection:
            yield connection

    def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None and self._pid == os.getpid():
            engine.dispose()

    @contextmanager
    def _failures_as_store_unavailable(self, taken: str | None = None) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            if taken is not None and isinstance(error, IntegrityError):
                raise ValueError(taken) from error
            if must_reopen(getattr(error, "orig", None)):
                self.close()  # all of them at once: SQLite shares among the connections of a process what is wrong with one
            raise StoreUnavailable(detail=_first_line(getattr(error, "orig", None) or error)) from error
        except OSError as error:  # the file is gone, or its folder cannot be made
            raise StoreUnavailable(detail=str(error)) from error

    def _own_engine(self) -> Engine:
        engine = self._engine
        if engine is not None and self._pid == os.getpid():
            return engine
        with self._creating:
            if self._engine is None or self._pid != os.getpid():
                if self._engine is not None:
                    self._inherited.append(self._engine)
                self._engine = None  # before the process id says that it is ours
                self._pid = os.getpid()
                self._engine = _postgresql(self.url, self._patience or 5) if self.postgresql else _sqlite(
                    self.url, self._patience or BUSY_TIMEOUT, create=self._create)
            return self._engine


def _first_line(error: BaseException) -> str:
    """The rest may hold values."""
    return str(error).partition("\n")[0]


def _postgresql(url: URL, patience: float) -> Engine:
    return create_engine(
        url, pool_size=5, max_overflow=5, pool_timeout=2, pool_pre_ping=True, hide_parameters=True,
        connect_args={
            "connect_timeout": 2,
            "options": f"{url.query.get('options', '')} -c statement_timeout={patience * 1000:.0f}".strip(),  # who asks for a schema gets it
            "keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 5000,
            "prepare_threshold": None,  # a prepared statement would be unknown behind PgBouncer
        })


def _sqlite(url: URL, patience: float, *, create: bool) -> Engine:
    engine = create_engine(url, pool_timeout=2, hide_parameters=True, connect_args={"timeout": patience})

    @event.listens_for(engine, "do_connect")
    def make_file(*_: Any) -> None:
        """Nobody but who migrates makes the file: a server whose file was mislaid must not go on with an empty one."""
        path = Path(url.database or "")
        if create:
            make_private(path)
        elif not path.exists():
            raise FileNotFoundError(ENOENT, "The database is not there", str(path))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # or sqlite3 begins transactions of its own, in which updates get lost
        use_wal(connection)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "connect")
    def remember(_: Any, record: Any) -> None:
        record.info["file"] = identity(url.database or "")

    @event.listens_for(engine, "checkout")
    def look(_: Any, record: Any, __: Any) -> None:
        """Raises OSError when the file is gone: what is written to it would be lost, and a new one would have no clients."""
        if identity(url.database or "") != record.info["file"]:
            raise DisconnectionError("Another file was put in its place.")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get(_READS):
            connection.exec_driver_sql("BEGIN" if options.get(_SNAPSHOT) else "BEGIN IMMEDIATE")

    return engine
