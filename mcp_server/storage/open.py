"""Where a back end of the hot state is chosen."""

from __future__ import annotations

from pathlib import Path

from mcp_server.clock import Clock, wall_clock
from mcp_server.storage.knowledge_corpus import KnowledgeCorpus
from mcp_server.storage.knowledge_files import FileIndex
from mcp_server.storage.knowledge_postgresql import PostgresIndex
from mcp_server.storage.redis import RedisState
from mcp_server.storage.sqlite import SqliteState


def open_state(redis_url: str | None, path: Path, *, clock: Clock = wall_clock) -> SqliteState | RedisState:
    """The hot state: in Redis when there is a URL, else in the SQLite file at `path`. Nothing connects until it is used."""
    if redis_url:
        return RedisState(redis_url, clock=clock)
    return SqliteState(path)


def open_knowledge(url: str | None, folder: Path) -> tuple[KnowledgeCorpus, FileIndex | PostgresIndex]:
    """What was imported, always in `folder`; and the index, in PostgreSQL when there is a URL, else beside it. Nothing is opened until it is used."""
    return KnowledgeCorpus(folder), PostgresIndex(url) if url else FileIndex(folder / "index")
