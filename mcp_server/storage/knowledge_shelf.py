"""The documents of one kind in one generation of an index: words in SQLite (FTS5), vectors in a file that all workers map.

A passage has one number everywhere: the document's key and its place in it. What may be read is a mask over the documents, laid on before anything
is ranked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mcp_server.knowledge.chunks import MOST_PASSAGES
from mcp_server.knowledge.documents import FILTERS, Document, Reader, Readers
from mcp_server.knowledge.ports import Match, Where

from .knowledge_records import packed, packed_readers, unpacked, unpacked_readers

BLOCK = 32_768
"""Rows that are multiplied at once: between two blocks the deadline is looked at."""
SPARSE = 8
"""If fewer than one row in so many may be compared, only those are read."""
COMMON, LEAST_COMMON = 10, 1000
"""A word is common if it stands in one of so many passages, and in so many at least."""
FOREVER = float("inf")
TITLE_WEIGHT = 4.0


def schema(kind: str) -> tuple[str, ...]:
    filters = ", ".join(f"{name} INTEGER NOT NULL" for name in FILTERS)
    return (
        f"CREATE VIRTUAL TABLE words_{kind} USING fts5(title, body, content='', tokenize='porter unicode61 remove_diacritics 2')",
        f"CREATE TABLE passages_{kind} (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
        f"""CREATE TABLE documents_{kind}
            (key INTEGER PRIMARY KEY, number TEXT NOT NULL, folded TEXT NOT NULL, updated TEXT NOT NULL, body BLOB NOT NULL)""",
        f"CREATE INDEX numbers_{kind} ON documents_{kind} (folded)",
        f"CREATE INDEX sorted_{kind} ON documents_{kind} (number)",
        f"CREATE TABLE places_{kind} (key INTEGER PRIMARY KEY, access INTEGER NOT NULL, since REAL NOT NULL, until REAL NOT NULL, {filters})",
    )


SHARED = (
    "CREATE TABLE access (id INTEGER PRIMARY KEY, readers TEXT NOT NULL)",
    "CREATE TABLE labels (name TEXT NOT NULL, value TEXT NOT NULL, code INTEGER NOT NULL, PRIMARY KEY (name, value))",
)


class Codes:
    """Small numbers for what repeats: sets of readers, and the values of facts."""

    def __init__(self) -> None:
        self.access: dict[str, int] = {}
        self.labels: dict[tuple[str, str], int] = {}

    def of(self, document: Document, readers: Readers) -> tuple[int, ...]:
        access = self.access.setdefault(packed_readers(readers), len(self.access))
        facts = ((name, document.facts.get(name, "").casefold()) for name in FILTERS)
        return access, *(self.labels.setdefault(fact, len(self.labels)) for fact in facts)

    def store(self, connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT INTO access VALUES (?, ?)", ((number, readers) for readers, number in self.access.items()))
        connection.executemany("INSERT INTO labels VALUES (?, ?, ?)", ((*fact, code) for fact, code in self.labels.items()))


class ShelfWriter:
    def __init__(self, folder: Path, kind: str, connection: sqlite3.Connection, codes: Codes) -> None:
        self._folder, self._kind, self._connection, self._codes = folder, kind, connection, codes
        self._vectors = (folder / f"{kind}.vectors").open("wb")
        self._rows: list[tuple[float, ...]] = []
        self._of_passages: list[int] = []
        for statement in schema(kind):
            connection.execute(statement)

    @property
    def documents(self) -> int:
        return len(self._rows)

    @property
    def passages(self) -> int:
        return len(self._of_passages)

    def add(self, document: Document, readers: Readers, passages: Sequence[str], vectors: Sequence[Sequence[float]] | None) -> None:
        key, kind, write = len(self._rows), self._kind, self._connection
        access, *codes = self._codes.of(document, readers)
        since, until = document.visible_from or -FOREVER, FOREVER if document.visible_until is None else document.visible_until
        row = (key, document.number, document.number.casefold(), document.updated, packed(document))
        write.execute(f"INSERT INTO documents_{kind} VALUES (?, ?, ?, ?, ?)", row)
        write.execute(f"INSERT INTO places_{kind} VALUES (?, ?, ?, ?, {', '.join('?' * len(FILTERS))})", (key, access, since, until, *codes))
        numbered = [(key * MOST_PASSAGES + number, text) for number, text in enumerate(passages)]
        write.executemany(f"INSERT INTO passages_{kind} VALUES (?, ?)", numbered)
        title = f"{document.number} {document.title}"
        write.executemany(f"INSERT INTO words_{kind} (rowid, title, body) VALUES (?, ?, ?)", ((number, title, text) for number, text in numbered))
        self._rows.append((access, since, until, *codes))
        self._of_passages += [key] * len(passages)
        if vectors is not None:
            self._vectors.write(np.asarray(vectors, dtype="<f4").tobytes())

    def finish(self) -> None:
        self._connection.execute(f"INSERT INTO words_{self._kind} (words_{self._kind}) VALUES ('optimize')")
        rows = np.asarray(self._rows, dtype="f8").reshape(len(self._rows), 3 + len(FILTERS))
        np.save(self._folder / f"{self._kind}.places.npy", np.ascontiguousarray(rows.T))
        np.save(self._folder / f"{self._kind}.passages.npy", np.asarray(self._of_passages, dtype="i4"))
        self.close()

    def close(self) -> None:
        self._vectors.close()


class Shelf:
    """Read by several real threads at once. Raises ValueError for files that do not belong together."""

    def __init__(self, folder: Path, kind: str, dimensions: int | None, access: Sequence[Readers], labels: dict[tuple[str, str], int]) -> None:
        self.kind = kind
        self._access, self._labels = access, labels
        self._places = np.load(folder / f"{kind}.places.npy", mmap_mode="r")
        self._of_passages = np.load(folder / f"{kind}.passages.npy", mmap_mode="r")
        self._matrix: Any = self._mapped(folder / f"{kind}.vectors", dimensions) if dimensions else None

    def _mapped(self, path: Path, dimensions: int) -> Any:
        rows = len(self._of_passages)
        if path.stat().st_size != rows * dimensions * 4:
            raise ValueError(f"{path.name} does not hold {rows} vectors of {dimensions} numbers")
        return np.memmap(path, dtype="<f4", mode="r", shape=(rows, dimensions)) if rows else np.empty((0, dimensions), dtype="<f4")

    def count(self, where: Where) -> int:
        mask = self._mask(where)
        return 0 if mask is None else int(np.count_nonzero(mask))

    def lexical(self, connection: sqlite3.Connection, words: Sequence[str], where: Where, most: int) -> list[Match]:
        conditions, mask = self._conditions(where), self._mask(where)
        if not words or conditions is None or not mask.any():
            return []
        masked = f"JOIN places_{self.kind} p ON p.key = w.rowid / {MOST_PASSAGES} AND {conditions[0]}"
        join, values = ("", []) if mask.all() else (masked, conditions[1])
        sql = (
            f"SELECT w.rowid, -bm25(words_{self.kind}, {TITLE_WEIGHT}, 1.0) FROM words_{self.kind} w {join}"
            f" WHERE words_{self.kind} MATCH ? ORDER BY 2 DESC, w.rowid LIMIT ?")
        query = " OR ".join(_quoted(word) for word in self._telling(connection, words))
        rows = connection.execute(sql, (*values, query, most)).fetchall()
        return [Match(rowid // MOST_PASSAGES, rowid % MOST_PASSAGES, score) for rowid, score in rows]

    def _telling(self, connection: sqlite3.Connection, words: Sequence[str]) -> Sequence[str]:
        """Without the words that stand in every tenth passage, unless there are no others: they decide nothing, and cost nearly all of the time."""
        many = len(self._of_passages) // COMMON
        if many < LEAST_COMMON:
            return words
        sql = f"SELECT 1 FROM words_{self.kind} WHERE words_{self.kind} MATCH ? LIMIT 1 OFFSET {many}"
        return [word for word in words if not connection.execute(sql, (_quoted(word),)).fetchone()] or words

    def nearest(self, vector: Sequence[float], where: Where, most: int, look_at_the_time: Callable[[], None]) -> list[Match]:
        mask = self._mask(where)
        if self._matrix is None or mask is None:
            return []
        query = np.asarray(vector, dtype="<f4")
        rows = np.flatnonzero(mask[self._of_passages])
        if not len(rows):
            return []
        sparse = len(rows) * SPARSE < len(self._of_passages)
        scores = self._sparse(rows, query, look_at_the_time) if sparse else self._dense(query, look_at_the_time)[rows]
        kept = min(most, len(rows))
        best = np.argpartition(-scores, kept - 1)[:kept]
        best = best[np.lexsort((best, -scores[best]))]
        keys = self._of_passages[rows[best]]
        passages = rows[best] - np.searchsorted(self._of_passages, keys)  # of one type: else all of it is copied, by a thread that stops the others
        return [Match(*found) for found in zip(keys.tolist(), passages.tolist(), scores[best].tolist(), strict=True)]

    def _dense(self, query: Any, look_at_the_time: Callable[[], None]) -> Any:
        scores = np.empty(len(self._of_passages), dtype="<f4")
        for start in range(0, len(scores), BLOCK):
            look_at_the_time()
            np.dot(self._matrix[start : start + BLOCK], query, out=scores[start : start + BLOCK])
        return scores

    def _sparse(self, rows: Any, query: Any, look_at_the_time: Callable[[], None]) -> Any:
        scores = np.empty(len(rows), dtype="<f4")
        for start in range(0, len(rows), BLOCK):
            look_at_the_time()
            scores[start : start + BLOCK] = self._matrix[rows[start : start + BLOCK]] @ query
        return scores

    def documents(self, connection: sqlite3.Connection, keys: Sequence[int]) -> dict[int, Document]:
        sql = f"SELECT key, body FROM documents_{self.kind} WHERE key IN ({', '.join('?' * len(keys))})"
        return {key: unpacked(body) for key, body in connection.execute(sql, keys)}

    def passages(self, connection: sqlite3.Connection, matches: Sequence[Match]) -> list[str]:
        numbers = [match.key * MOST_PASSAGES + match.passage for match in matches]
        sql = f"SELECT id, text FROM passages_{self.kind} WHERE id IN ({', '.join('?' * len(numbers))})"
        found = dict(connection.execute(sql, numbers).fetchall())
        return [found[number] for number in numbers]

    def select(self, connection: sqlite3.Connection, where: Where, *, columns: str, condition: str, parameters: Sequence[Any], end: str) -> list[Any]:
        """Rows of documents that may be read: `condition` is about `d`."""
        conditions = self._conditions(where)
        if conditions is None:
            return []
        sql = f"SELECT {columns} FROM documents_{self.kind} d JOIN places_{self.kind} p USING (key) WHERE {condition} AND {conditions[0]} {end}"
        return connection.execute(sql, (*parameters, *conditions[1])).fetchall()

    def _admitted(self, reader: Reader) -> list[int]:
        return [number for number, readers in enumerate(self._access) if readers.admit(reader)]

    def _wanted(self, where: Where) -> dict[str, int] | None:
        """The codes of the filters; None when nothing has one of the values."""
        wanted = {name: self._labels.get((name, value.casefold())) for name, value in where.filters.items()}
        return None if None in wanted.values() else {name: code for name, code in wanted.items() if code is not None}

    def _conditions(self, where: Where) -> tuple[str, list[Any]] | None:
        admitted, wanted = self._admitted(where.reader), self._wanted(where)
        if not admitted or wanted is None:
            return None
        sql = f"p.access IN ({', '.join('?' * len(admitted))}) AND p.since <= ? AND p.until > ?" + "".join(f" AND p.{name} = ?" for name in wanted)
        return sql, [*admitted, where.now, where.now, *wanted.values()]

    def _mask(self, where: Where) -> Any:
        admitted, wanted = self._admitted(where.reader), self._wanted(where)
        if not admitted or wanted is None:
            return None
        access, since, until, *codes = self._places
        mask = (since <= where.now) & (until > where.now)
        if len(admitted) < len(self._access):
            mask &= np.isin(access, admitted)
        for name, code in wanted.items():
            mask &= codes[FILTERS.index(name)] == code
        return mask


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def stored_codes(connection: sqlite3.Connection) -> tuple[list[Readers], dict[tuple[str, str], int]]:
    access = [unpacked_readers(readers) for (readers,) in connection.execute("SELECT readers FROM access ORDER BY id")]
    return access, {(name, value): code for name, value, code in connection.execute("SELECT name, value, code FROM labels")}
