"""One generation in PostgreSQL, as it is read. psycopg lets the other greenlets run while it waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from mcp_server.deadline import Deadline
from mcp_server.errors import KnowledgeRefused, TooBusy
from mcp_server.knowledge.documents import Document, Reader, Readers
from mcp_server.knowledge.ports import IndexState, Match, VectorModel, Where
from mcp_server.knowledge.text import without_accents

from .knowledge_files import wrong_model
from .knowledge_records import unpacked

HNSW_FROM = 20_000
HNSW_DIMENSIONS = 2000
"""What pgvector can index."""
OVERFETCH = 8
MOST_EF = 1000


@dataclass(frozen=True, slots=True)
class Facts:
    """What is read once of a generation, for it does not change: its sets of readers, and the stems that stand in every tenth passage."""

    generation: str
    readers: list[Readers]
    common: frozenset[str]


class PostgresView:
    """Reads tables that nothing changes."""

    def __init__(self, connection: Connection, state: IndexState, facts: Facts) -> None:
        self._connection, self._state, self._facts = connection, state, facts

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
        words = self._telling([without_accents(word) for word in words])
        query = " || ".join(f"plainto_tsquery('knowledge_words', :word{number})" for number, _ in enumerate(words))
        sql = (
            f"SELECT p.key, p.passage, ts_rank_cd('{{0.1, 0.2, 0.4, 1.0}}', p.words, q.q, 1) AS score FROM {self._passages} p "
            f"JOIN {self._documents} d USING (key), (SELECT {query} AS q) q WHERE p.words @@ q.q AND {condition} "
            "ORDER BY score DESC, p.key, p.passage LIMIT :most")
        rows = self._all(sql, {**values, **{f"word{number}": word for number, word in enumerate(words)}, "most": most})
        return [Match(*row) for row in rows]

    def _telling(self, words: Sequence[str]) -> Sequence[str]:
        """As in files: without the words that decide nothing, unless there are no others."""
        if not self._facts.common:
            return words
        stems = self._all("SELECT ts_lexize('knowledge_stem', w) FROM unnest(CAST(:words AS text[])) WITH ORDINALITY AS x(w, n) ORDER BY n",
                          {"words": list(words)})
        return [word for word, (stem,) in zip(words, stems, strict=True) if not self._facts.common.intersection(stem or ())] or words

    def nearest(self, vector: Sequence[float], model: VectorModel, where: Where, most: int, deadline: Deadline) -> Sequence[Match]:
        made_by = self._state.model
        if made_by is None or not made_by.same_as(model) or len(vector) != made_by.dimensions:
            raise KnowledgeRefused(wrong_model(made_by, model))
        _in_time(deadline)
        condition, values = self._condition(where)
        values |= {"vector": in_sql(vector), "most": most}
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
        folded = {"folded": storable(number.casefold())}
        rows = self._select("d.body", where, "d.folded = :folded", folded, "ORDER BY d.updated DESC, d.key DESC LIMIT 1")
        return unpacked(rows[0][0]) if rows else None

    def page(self, after: str, most: int, where: Where) -> Sequence[Document]:
        rows = self._select("DISTINCT ON (d.number) d.body", where, "d.number > :after", {"after": storable(after)},
                            f"ORDER BY d.number, d.updated DESC LIMIT {int(most)}")
        return [unpacked(body) for (body,) in rows]

    def numbers(self, typed: str, most: int, where: Where) -> Sequence[str]:
        folded = storable(typed.casefold())
        rows = self._select("DISTINCT d.folded, d.number", where, "d.folded >= :low AND d.folded < :high",
                            {"low": folded, "high": folded + "\U0010ffff"}, f"ORDER BY d.folded LIMIT {int(most)}")
        return [number for _, number in rows]

    def _select(self, columns: str, where: Where, condition: str, values: Mapping[str, Any], end: str) -> list[Any]:
        readable, mask = self._condition(where)
        return self._all(f"SELECT {columns} FROM {self._documents} d WHERE {condition} AND {readable} {end}", {**mask, **values})

    def _condition(self, where: Where) -> tuple[str, dict[str, Any]]:
        values: dict[str, Any] = {"kind": where.kind, "now": where.now, "admitted": self._admitted(where.reader)}
        values |= {f"is_{name}": storable(value.casefold()) for name, value in where.filters.items()}
        facts = "".join(f" AND d.{name} = :is_{name}" for name in where.filters)
        return f"d.kind = :kind AND d.access = ANY(:admitted) AND d.since <= :now AND d.until > :now{facts}", values

    def _admitted(self, reader: Reader) -> list[int]:
        return [number for number, each in enumerate(self._facts.readers) if each.admit(reader)]

    def _all(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        return list(self._connection.execute(text(sql), dict(values)).all())

    @property
    def _documents(self) -> str:
        return f"knowledge_documents_{self._state.generation}"

    @property
    def _passages(self) -> str:
        return f"knowledge_passages_{self._state.generation}"


def storable(value: str) -> str:
    """PostgreSQL's text has no NUL."""
    return value.replace("\0", "")


def in_sql(numbers: Sequence[float]) -> str:
    return "[" + ",".join(f"{number:.7g}" for number in numbers) + "]"


def _in_time(deadline: Deadline) -> None:
    if not deadline.left:
        raise TooBusy("The search took too long. Ask with fewer or rarer words.")
