"""An index in PostgreSQL with the extension `vector`, for several machines: each generation has tables of its own, and one row says which answers.

Lists are exact under the mask of what may be read. Above HNSW_FROM passages an approximate index is asked first; where the mask took too much of what
it found, the exact order is computed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, text

from mcp_server.errors import KnowledgeRefused
from mcp_server.knowledge.batches import batched
from mcp_server.knowledge.documents import FILTERS, KINDS, Document, Readers
from mcp_server.knowledge.ports import IndexState, VectorModel, Writer
from mcp_server.knowledge.text import without_accents

from . import knowledge_postgresql_view, knowledge_shelf
from .database import Database
from .knowledge_postgresql_view import HNSW_DIMENSIONS, Facts, PostgresView, in_sql, storable
from .knowledge_records import packed, packed_readers, packed_state, unpacked_readers, unpacked_state

LOCK = 0x6B6E6F77
"""Number of the advisory lock of whoever writes a generation."""
PATIENCE = 600.0
POINTER = "CREATE TABLE IF NOT EXISTS knowledge_index (one BOOLEAN PRIMARY KEY CHECK (one), state TEXT NOT NULL)"
WORDS = (
    "CREATE TEXT SEARCH DICTIONARY knowledge_stem (TEMPLATE = snowball, LANGUAGE = english)",
    "CREATE TEXT SEARCH CONFIGURATION knowledge_words (COPY = simple)",
    """ALTER TEXT SEARCH CONFIGURATION knowledge_words
       ALTER MAPPING FOR asciiword, word, hword, hword_part, hword_asciipart, asciihword WITH knowledge_stem""",
)
"""Stems as the files' index has them, and no stop words: a question has lost its own already, and an article may be about one."""
NEEDED = ("The database of KNOWLEDGE_URL lacks the extension `vector` (pgvector), or this account may not create it. As its superuser: "
          "CREATE EXTENSION vector")


class PostgresIndex:
    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._writing = Database(url, patience=PATIENCE)
        self._facts: Facts | None = None

    @contextmanager
    def reading(self) -> Iterator[PostgresView | None]:
        with self._database.reading() as connection:
            if connection.execute(text("SELECT to_regclass('knowledge_index')")).scalar() is None:
                state = None
            else:
                state = connection.execute(text("SELECT state FROM knowledge_index")).scalar()
            yield self._view(connection, unpacked_state(state)) if state else None

    def _view(self, connection: Connection, state: IndexState) -> PostgresView:
        if self._facts is None or self._facts.generation != state.generation:
            self._facts = _facts(connection, state)
        return PostgresView(connection, state, self._facts)

    @contextmanager
    def writing(self, model: VectorModel | None, built_at: float) -> Iterator[Writer]:
        """In one transaction: a writer that dies has written nothing."""
        with self._writing.writing() as connection:
            if not connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": LOCK}).scalar():
                raise KnowledgeRefused("Another machine is writing the index. Wait until it has ended, then run this again.")
            _prepare(connection, vectors=model is not None)
            yield _PostgresWriter(connection, secrets.token_hex(8), model, built_at)

    def clear(self) -> None:
        with self._writing.writing() as connection:
            connection.execute(text("DROP TABLE IF EXISTS knowledge_index"))
            _drop_but(connection, ())

    def close(self) -> None:
        self._database.close()
        self._writing.close()


def _facts(connection: Connection, state: IndexState) -> Facts:
    readers = connection.execute(text(f"SELECT readers FROM knowledge_access_{state.generation} ORDER BY id")).scalars()
    common: list[str] = []
    if state.passages // knowledge_shelf.COMMON >= knowledge_shelf.LEAST_COMMON:
        common += connection.execute(text(
            "SELECT c.stem FROM pg_stats s, unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS c(stem, share) "
            "WHERE s.schemaname = current_schema() AND s.tablename = :name AND s.attname = 'words' AND c.share > :share AND c.stem IS NOT NULL"),
            {"name": f"knowledge_passages_{state.generation}", "share": 1 / knowledge_shelf.COMMON}).scalars()
    return Facts(state.generation, [unpacked_readers(each) for each in readers], frozenset(common))


def _prepare(connection: Connection, *, vectors: bool) -> None:
    connection.execute(text(POINTER))
    if not connection.execute(text("SELECT 1 FROM pg_ts_config WHERE cfgname = 'knowledge_words'")).scalar():
        for statement in WORDS:
            connection.execute(text(statement))
    there = connection.execute(text("SELECT 1 FROM pg_extension WHERE extname = 'vector'")).scalar()
    if vectors and not there:
        offered = connection.execute(text("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")).scalar()
        may = connection.execute(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")).scalar()
        if not offered or not may:
            raise KnowledgeRefused(NEEDED)
        connection.execute(text("CREATE EXTENSION vector"))


def _drop_but(connection: Connection, kept: Sequence[str]) -> None:
    names = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")).scalars().all()
    for name in names:
        found = re.fullmatch(r"knowledge_(?:documents|passages|access)_([0-9a-f]{16})", name)
        if found and found[1] not in kept:
            connection.execute(text(f"DROP TABLE {name}"))


class _PostgresWriter:
    def __init__(self, connection: Connection, generation: str, model: VectorModel | None, built_at: float) -> None:
        self._connection, self._generation, self._model, self._built_at = connection, generation, model, built_at
        self._access: dict[str, int] = {}
        self._counts: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._key = self._passages = 0
        facts = ", ".join(f"{name} TEXT NOT NULL" for name in FILTERS)
        vector = f", embedding vector({model.dimensions}) NOT NULL" if model else ""
        for statement in (
            f"CREATE TABLE knowledge_access_{generation} (id INTEGER PRIMARY KEY, readers TEXT NOT NULL)",
            f"""CREATE TABLE knowledge_documents_{generation} (key INTEGER PRIMARY KEY, kind TEXT NOT NULL, number TEXT COLLATE "C" NOT NULL,
                folded TEXT COLLATE "C" NOT NULL, updated TEXT COLLATE "C" NOT NULL, body TEXT NOT NULL, access INTEGER NOT NULL,
                since DOUBLE PRECISION NOT NULL, until DOUBLE PRECISION NOT NULL, {facts})""",
            f"""CREATE TABLE knowledge_passages_{generation} (key INTEGER NOT NULL, passage INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
                words TSVECTOR NOT NULL{vector}, PRIMARY KEY (key, passage))""",
        ):
            connection.execute(text(statement))

    def add(self, document: Document, readers: Readers, passages: Sequence[str], vectors: Sequence[Sequence[float]] | None) -> None:
        access = self._access.setdefault(packed_readers(readers), len(self._access))
        key, generation = self._key, self._generation
        since = float("-inf") if document.visible_from is None else document.visible_from
        until = float("inf") if document.visible_until is None else document.visible_until
        facts = {name: storable(document.facts.get(name, "").casefold()) for name in FILTERS}
        row = {"key": key, "kind": document.kind, "number": document.number, "folded": document.number.casefold(), "updated": document.updated,
               "body": packed(document).decode(), "access": access, "since": since, "until": until, **facts}
        self._connection.execute(
            text(f"INSERT INTO knowledge_documents_{generation} VALUES ({', '.join(f':{name}' for name in row)})"), row)
        title = without_accents(f"{document.number} {document.title}")
        rows = [{"key": key, "passage": number, "kind": document.kind, "text": passage, "title": title, "plain": without_accents(passage)}
                | ({} if vectors is None else {"embedding": in_sql(vectors[number])}) for number, passage in enumerate(passages)]
        words = "setweight(to_tsvector('knowledge_words', :title), 'A') || to_tsvector('knowledge_words', :plain)"
        embedding = "" if vectors is None else ", CAST(:embedding AS vector)"
        self._connection.execute(
            text(f"INSERT INTO knowledge_passages_{generation} VALUES (:key, :passage, :kind, :text, {words}{embedding})"), rows)
        self._counts[document.kind] += 1
        self._passages += len(passages)
        self._key += 1

    def publish(self, left_out: Mapping[str, int], changed: Sequence[str]) -> IndexState:
        run, generation, model = self._connection.execute, self._generation, self._model
        for some in batched(self._access.items(), 1000):
            run(text(f"INSERT INTO knowledge_access_{generation} VALUES (:id, :readers)"), [{"id": each, "readers": said} for said, each in some])
        run(text(f"CREATE INDEX ON knowledge_documents_{generation} (kind, folded)"))
        run(text(f"CREATE INDEX ON knowledge_documents_{generation} (kind, number)"))
        run(text(f"CREATE INDEX ON knowledge_passages_{generation} USING gin (words)"))
        if model and self._passages >= knowledge_postgresql_view.HNSW_FROM and model.dimensions <= HNSW_DIMENSIONS:
            for kind in KINDS:
                run(text(f"CREATE INDEX ON knowledge_passages_{generation} USING hnsw (embedding vector_cosine_ops) WHERE kind = '{kind}'"))
        run(text(f"ANALYZE knowledge_documents_{generation}"))
        run(text(f"ANALYZE knowledge_passages_{generation}"))
        before = run(text("SELECT state FROM knowledge_index")).scalar()
        kept = (generation, unpacked_state(before).generation) if before else (generation,)
        state = IndexState(generation, self._built_at, self._counts, self._passages, model, left_out, tuple(changed))
        run(text("INSERT INTO knowledge_index VALUES (true, :state) ON CONFLICT (one) DO UPDATE SET state = excluded.state"),
            {"state": packed_state(state).decode()})
        _drop_but(self._connection, kept)
        return state
