"""What was imported: the documents, the vectors made of their texts, and how far a synchronisation is. One SQLite file, used by commands only."""

from __future__ import annotations

import array
import fcntl
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from mcp_server.errors import KnowledgeRefused, StoreUnavailable
from mcp_server.knowledge.access import Container
from mcp_server.knowledge.batches import batched
from mcp_server.knowledge.documents import KINDS, Document, Kind
from mcp_server.knowledge.ports import VectorModel

from .knowledge_records import digest_of, packed, unpacked
from .sqlite_file import SqliteFile

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS documents (kind TEXT NOT NULL, id TEXT NOT NULL, number TEXT NOT NULL, digest TEXT NOT NULL, source TEXT NOT NULL,
       body BLOB NOT NULL, PRIMARY KEY (kind, id))""",
    "CREATE INDEX IF NOT EXISTS documents_by_number ON documents (number)",
    "CREATE TABLE IF NOT EXISTS vectors (model TEXT NOT NULL, digest TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (model, digest)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS containers (kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, id))",
    "CREATE TABLE IF NOT EXISTS checkpoints (name TEXT PRIMARY KEY, body BLOB NOT NULL)",
)
VARIABLES = 500
"""Of one statement."""


class KnowledgeCorpus:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = SqliteFile(folder / "corpus.db", SCHEMA)

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Nobody else changes the knowledge meanwhile; the lock goes with the process that has it. Raises KnowledgeRefused when somebody does."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"The knowledge cannot be kept in {self._folder}.", detail=str(error)) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 20, 0).decode().strip()
                raise KnowledgeRefused(
                    f"Another command is changing the knowledge (process {holder or 'unknown'}). Wait until it has ended, then run this again.",
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def put(self, documents: Sequence[Document], source: str) -> tuple[int, int]:
        """Keep them. How many are new, and how many were there and are changed."""
        new = changed = 0
        with self._file.transaction() as write:
            for document in documents:
                body = packed(document)
                digest = digest_of(body)
                there = write.execute("SELECT digest, source FROM documents WHERE kind = ? AND id = ?", (document.kind, document.id)).fetchone()
                if there == (digest, source):
                    continue
                new += there is None
                changed += there is not None and there[0] != digest
                write.execute(
                    "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET number = excluded.number, digest = excluded.digest,"
                    " source = excluded.source, body = excluded.body",
                    (document.kind, document.id, document.number, digest, source, body))
        return new, changed

    def remove(self, kind: Kind, ids: Iterable[str]) -> int:
        """How many were there."""
        with self._file.transaction() as write:
            return sum(write.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, each)).rowcount for each in ids)

    def remove_numbers(self, numbers: Iterable[str]) -> dict[str, int]:
        """By number, how many documents of it there were."""
        with self._file.transaction() as write:
            return {number: write.execute("DELETE FROM documents WHERE number = ? COLLATE NOCASE", (number,)).rowcount for number in numbers}

    def ids_from(self, source: str) -> set[tuple[Kind, str]]:
        return {(kind, each) for kind, each in self._file.run("SELECT kind, id FROM documents WHERE source = ?", (source,))}

    def clear(self) -> None:
        with self._file.transaction() as write:
            for table in ("documents", "vectors", "containers", "checkpoints"):
                write.execute(f"DELETE FROM {table}")

    def count(self) -> int:
        return int(self._file.run("SELECT count(*) FROM documents")[0][0])

    def counts(self) -> dict[str, int]:
        found = dict(self._file.run("SELECT kind, count(*) FROM documents GROUP BY kind"))
        return {kind: found.get(kind, 0) for kind in KINDS}

    def documents(self) -> Iterator[Document]:
        """In a steady order. What changes meanwhile may or may not be seen: commands hold the lock."""
        last = ("", "")
        while rows := self._file.run("SELECT kind, id, body FROM documents WHERE (kind, id) > (?, ?) ORDER BY kind, id LIMIT 500", last):
            yield from (unpacked(body) for _, _, body in rows)
            last = rows[-1][:2]

    def containers(self) -> Mapping[Kind, Mapping[str, Container]]:
        found: dict[Kind, dict[str, Container]] = {}
        for kind, each, body in self._file.run("SELECT kind, id, body FROM containers"):
            can, cannot = orjson.loads(body)
            found.setdefault(kind, {})[each] = Container(tuple(can), tuple(cannot))
        return found

    def replace_containers(self, kind: Kind, containers: Mapping[str, Container]) -> None:
        with self._file.transaction() as write:
            write.execute("DELETE FROM containers WHERE kind = ?", (kind,))
            write.executemany("INSERT INTO containers VALUES (?, ?, ?)", (
                (kind, each, orjson.dumps((container.can_read, container.cannot_read))) for each, container in containers.items()))

    def vectors(self, model: VectorModel, digests: Sequence[str]) -> Mapping[str, Sequence[float]]:
        name, found = _key(model), {}
        for some in batched(digests, VARIABLES):
            rows = self._file.run(f"SELECT digest, vector FROM vectors WHERE model = ? AND digest IN ({', '.join('?' * len(some))})", (name, *some))
            found.update({digest: _numbers(vector) for digest, vector in rows})
        return found

    def keep_vectors(self, model: VectorModel, vectors: Mapping[str, Sequence[float]]) -> None:
        with self._file.transaction() as write:
            write.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", (
                (_key(model), digest, _bytes(vector)) for digest, vector in vectors.items()))

    def forget_vectors_but(self, model: VectorModel, digests: Iterable[str]) -> None:
        with self._file.transaction() as write:
            write.execute("CREATE TEMP TABLE used (digest TEXT PRIMARY KEY) WITHOUT ROWID")
            write.executemany("INSERT INTO used VALUES (?)", ((digest,) for digest in digests))
            write.execute("DELETE FROM vectors WHERE model <> ? OR digest NOT IN (SELECT digest FROM used)", (_key(model),))
            write.execute("DROP TABLE used")

    def checkpoint(self, name: str) -> dict[str, str]:
        rows = self._file.run("SELECT body FROM checkpoints WHERE name = ?", (name,))
        return dict(orjson.loads(rows[0][0])) if rows else {}

    def keep_checkpoint(self, name: str, values: Mapping[str, str]) -> None:
        self._file.run("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", (name, orjson.dumps(values)))

    def close(self) -> None:
        self._file.close()


def _key(model: VectorModel) -> str:
    return f"{model.name} {model.dimensions} {model.digest}"


def _bytes(vector: Sequence[float]) -> bytes:
    return _swapped(array.array("f", vector)).tobytes()


def _numbers(vector: bytes) -> Sequence[float]:
    return _swapped(array.array("f", vector))


def _swapped(numbers: array.array[float]) -> array.array[float]:
    """Little-endian, whatever the machine is."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
