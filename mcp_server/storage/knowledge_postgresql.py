"""An index in PostgreSQL with the extension `vector`, for several machines: each generation has tables of its own, and one row says which answers.

Lists are exact under the mask of what may be read. Above HNSW_FROM passages an approximate index is asked first; where the mask took too much of what
it found, the exact order is computed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, text

from mcp_server.deadline import Deadline
from mcp_server.errors import KnowledgeRefused, TooBusy
from mcp_server.knowledge.batches import batched
from mcp_server.knowledge.documents import FILTERS, KINDS, Document, Reader, Readers
from mcp_server.knowledge.ports import IndexState, Match, VectorModel, Where, Writer
from mcp_server.knowledge.text import without_accents

from .database import Database
from .knowledge_files import wrong_model
from .knowledge_records import packed, packed_readers, packed_state, unpacked, unpacked_readers, unpacked_state

HNSW_FROM = 20_000
HNSW_DIMENSIONS = 2000
"""What pgvector can index."""
OVERFETCH = 8
MOST_EF = 1000
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
        self._access: tuple[str, list[Readers]] | None = None

    @contextmanager
    def reading(self) -> Iterator[PostgresView | None]:
        with self._database.reading() as connection:
            if connection.execute(text("SELECT to_regclass('knowledge_index')")).scalar() is None:
                state = None
            else:
                state = connection.execute(text("SELECT state FROM knowledge_index")).scalar()
            yield PostgresView(connection, unpacked_state(state), self._readers) if state else None

    def _readers(self, connection: Connection, generation: str) -> list[Readers]:
        """The sets of readers of a generation: few, and they do not change."""
        known = self._access
        if known is None or known[0] != generation:
            rows = connection.execute(text(f"SELECT readers FROM knowledge_access_{generation} ORDER BY id"))
            known = self._access = generation, [unpacked_readers(row[0]) for row in rows]
        return known[1]

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
        facts = {name: _storable(document.facts.get(name, "").casefold()) for name in FILTERS}
        row = {"key": key, "kind": document.kind, "number": document.number, "folded": document.number.casefold(), "updated": document.updated,
               "body": packed(document).decode(), "access": access, "since": since, "until": until, **facts}
        self._connection.execute(
            text(f"INSERT INTO knowledge_documents_{generation} VALUES ({', '.join(f':{name}' for name in row)})"), row)
        title = without_accents(f"{document.number} {document.title}")
        rows = [{"key": key, "passage": number, "kind": document.kind, "text": passage, "title": title, "plain": without_accents(passage)}
                | ({} if vectors is None else {"embedding": _vector(vectors[number])}) for number, passage in enumerate(passages)]
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
        if model and self._passages >= HNSW_FROM and model.dimensions <= HNSW_DIMENSIONS:
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


class PostgresView:
    """Reads tables that nothing changes. psycopg lets the other greenlets run while it waits."""

    def __init__(self, connection: Connection, state: IndexState, readers: Any) -> None:
        self._connection, self._state, self._readers = connection, state, readers

    @property
    def state(self) -> IndexState:
        return self._state

    def count(self, where: Where) -> int:
        condition, values = self._condition(where)
        return int(self._all(f"SELECT count(*) FROM {self._documents} d WHERE {condition}", values)[0][0])

    def lexical(self, words: Sequence[str], where: Where, most: int, deadline: Deadline) -> Sequence[Match]:
        if not words:
            return []
        _in_time(deadline)
        condition, values = self._condition(where)
        query = " || ".join(f"plainto_tsquery('knowledge_words', :word{number})" for number, _ in enumerate(words))
        sql = (
            f"SELECT p.key, p.passage, ts_rank_cd('{{0.1, 0.2, 0.4, 1.0}}', p.words, q.q, 1) AS score FROM {self._passages} p "
            f"JOIN {self._documents} d USING (key), (SELECT {query} AS q) q WHERE p.words @@ q.q AND {condition} "
            "ORDER BY score DESC, p.key, p.passage LIMIT :most")
        rows = self._all(sql, {**values, **{f"word{number}": without_accents(word) for number, word in enumerate(words)}, "most": most})
        return [Match(*row) for row in rows]

    def nearest(self, vector: Sequence[float], model: VectorModel, where: Where, most: int, deadline: Deadline) -> Sequence[Match]:
        made_by = self._state.model
        if made_by is None or not made_by.same_as(model) or len(vector) != made_by.dimensions:
            raise KnowledgeRefused(wrong_model(made_by, model))
        _in_time(deadline)
        condition, values = self._condition(where)
        values |= {"vector": _vector(vector), "most": most}
        if self._state.passages >= HNSW_FROM and made_by.dimensions <= HNSW_DIMENSIONS:
            found = self._approximate(condition, values, where, most)
            if len(found) == most:
                return found
        sql = (
            f"WITH admitted AS MATERIALIZED (SELECT p.key, p.passage, p.embedding FROM {self._passages} p JOIN {self._documents} d USING (key) "
            f"WHERE {condition}) SELECT key, passage, 1 - (embedding <=> CAST(:vector AS vector)) AS score FROM admitted "
            "ORDER BY score DESC, key, passage LIMIT :most")
        return [Match(*row) for row in self._all(sql, values)]

    def _approximate(self, condition: str, values: Mapping[str, Any], where: Where, most: int) -> list[Match]:
        """The nearest of all, then the mask: as many as are wanted are the right ones, fewer are not."""
        wide = min(most * OVERFETCH, MOST_EF)
        self._all("SELECT set_config('hnsw.ef_search', :wide, false)", {"wide": str(wide)})
        sql = (
            f"SELECT n.key, n.passage, 1 - n.distance AS score FROM (SELECT key, passage, embedding <=> CAST(:vector AS vector) AS distance "
            f"FROM {self._passages} WHERE kind = '{where.kind}' ORDER BY embedding <=> CAST(:vector AS vector) LIMIT {wide}) n "
            f"JOIN {self._documents} d USING (key) WHERE {condition} ORDER BY score DESC, n.key, n.passage LIMIT :most")
        return [Match(*row) for row in self._all(sql, values)]

    def documents(self, where: Where, keys: Sequence[int]) -> Mapping[int, Document]:  # noqa: ARG002 keys are of one kind already
        rows = self._all(f"SELECT key, body FROM {self._documents} WHERE key = ANY(:keys)", {"keys": list(keys)})
        return {key: unpacked(body) for key, body in rows}

    def passages(self, where: Where, matches: Sequence[Match]) -> Sequence[str]:  # noqa: ARG002 the same
        rows = self._all(
            f"SELECT p.key, p.passage, p.text FROM {self._passages} p "
            "JOIN unnest(CAST(:keys AS int[]), CAST(:places AS int[])) AS wanted(key, passage) "
            "USING (key, passage)", {"keys": [match.key for match in matches], "places": [match.passage for match in matches]})
        found = {(key, passage): said for key, passage, said in rows}
        return [found[match.key, match.passage] for match in matches]

    def find(self, number: str, where: Where) -> Document | None:
        folded = {"folded": _storable(number.casefold())}
        rows = self._select("d.body", where, "d.folded = :folded", folded, "ORDER BY d.updated DESC, d.key DESC LIMIT 1")
        return unpacked(rows[0][0]) if rows else None

    def page(self, after: str, most: int, where: Where) -> Sequence[Document]:
        rows = self._select("DISTINCT ON (d.number) d.body", where, "d.number > :after", {"after": _storable(after)},
                            f"ORDER BY d.number, d.updated DESC LIMIT {int(most)}")
        return [unpacked(body) for (body,) in rows]

    def numbers(self, typed: str, most: int, where: Where) -> Sequence[str]:
        folded = _storable(typed.casefold())
        rows = self._select("DISTINCT d.folded, d.number", where, "d.folded >= :low AND d.folded < :high",
                            {"low": folded, "high": folded + "\U0010ffff"}, f"ORDER BY d.folded LIMIT {int(most)}")
        return [number for _, number in rows]

    def _select(self, columns: str, where: Where, condition: str, values: Mapping[str, Any], end: str) -> list[Any]:
        readable, mask = self._condition(where)
        return self._all(f"SELECT {columns} FROM {self._documents} d WHERE {condition} AND {readable} {end}", {**mask, **values})

    def _condition(self, where: Where) -> tuple[str, dict[str, Any]]:
        values: dict[str, Any] = {"kind": where.kind, "now": where.now, "admitted": self._admitted(where.reader)}
        values |= {f"is_{name}": _storable(value.casefold()) for name, value in where.filters.items()}
        facts = "".join(f" AND d.{name} = :is_{name}" for name in where.filters)
        return f"d.kind = :kind AND d.access = ANY(:admitted) AND d.since <= :now AND d.until > :now{facts}", values

    def _admitted(self, reader: Reader) -> list[int]:
        readers = self._readers(self._connection, self._state.generation)
        return [number for number, each in enumerate(readers) if each.admit(reader)]

    def _all(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        return list(self._connection.execute(text(sql), dict(values)).all())

    @property
    def _documents(self) -> str:
        return f"knowledge_documents_{self._state.generation}"

    @property
    def _passages(self) -> str:
        return f"knowledge_passages_{self._state.generation}"


def _storable(value: str) -> str:
    """PostgreSQL's text has no NUL."""
    return value.replace("\0", "")


def _vector(numbers: Sequence[float]) -> str:
    return "[" + ",".join(f"{number:.7g}" for number in numbers) + "]"


def _in_time(deadline: Deadline) -> None:
    if not deadline.left:
        raise TooBusy("The search took too long. Ask with fewer or rarer words.")
