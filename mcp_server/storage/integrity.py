"""Whether a SQLite file is whole, asked without changing it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from mcp_server.errors import StoreUnavailable


def sqlite_path(database_url: str) -> Path | None:
    """Return the file that holds the database, or None when a server does. Raises ValueError."""
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise ValueError("This is not a database URL.") from error
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database:
        raise ValueError("The database URL must name a file.")
    return Path(url.database)


def is_damaged(path: Path) -> bool:
    """Raises StoreUnavailable when another process keeps the file locked. A file that is not there is whole."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(detail=f"{path}: {error}") from error
    except sqlite3.DatabaseError:
        return True
    return found != "ok"
