"""Brings the tables of the registry up to date. Each step is a file in `versions/`."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, func, select

from mcp_server.errors import StoreUnavailable
from mcp_server.storage.database import Database

_MIGRATION_LOCK = 0x6D63705F6D696772
"""PostgreSQL's number for: somebody migrates."""

PATIENCE = 60.0
"""Seconds that one process waits while another one migrates, and that a step may take."""


def migrate(database_url: str) -> None:
    """Apply the steps that are missing, all or none. Safe when several processes start at once.

    A database that a newer release has migrated is left as it is.
    """
    database = Database(database_url, patience=PATIENCE, create=True)
    try:
        with database.writing() as connection:
            if database.postgresql:
                connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            if _missing(connection):
                command.upgrade(_config(connection), "head")
    except CommandError as error:
        raise StoreUnavailable(detail=str(error)) from error
    finally:
        database.close()


def pending(database_url: str) -> bool:
    """Whether `migrate()` has something to do."""
    database = Database(database_url)
    if not database.postgresql and not Path(database.url.database or "").exists():
        return True
    try:
        with database.reading() as connection:
            return _missing(connection)
    finally:
        database.close()


def revision(database_url: str) -> str:
    """The last step that was taken, an empty text where there was none."""
    database = Database(database_url)
    try:
        with database.reading() as connection:
            return ", ".join(MigrationContext.configure(connection).get_current_heads())
    finally:
        database.close()


def is_known(revision: str) -> bool:
    """Whether this release has that step."""
    return revision in {step.revision for step in ScriptDirectory.from_config(_config(None)).walk_revisions()}


def _missing(connection: Connection) -> bool:
    steps = ScriptDirectory.from_config(_config(connection))
    known = {step.revision for step in steps.walk_revisions()}
    done = set(MigrationContext.configure(connection).get_current_heads())
    return done <= known and done != set(steps.get_heads())


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
