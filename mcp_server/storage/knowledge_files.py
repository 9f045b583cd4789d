"""An index in files that all workers of a machine share: a folder for each generation, and a pointer to the one that answers.

A generation is written in a folder of another name, renamed when it is whole, and then pointed to. The one before stays until the next comes, for
workers that read in it or are about to.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from mcp_server.concurrency import in_free_real_thread, native_lock
from mcp_server.deadline import Deadline
from mcp_server.errors import KnowledgeRefused, StoreUnavailable, TooBusy
from mcp_server.knowledge.documents import KINDS, Document, Readers
from mcp_server.knowledge.ports import IndexState, Match, VectorModel, Where, Writer

from .knowledge_records import packed_state, unpacked, unpacked_state
from .knowledge_shelf import SHARED, Codes, Shelf, ShelfWriter, stored_codes

T = TypeVar("T")
LOOK_EVERY = 20_000
"""Steps of SQLite's machine between two looks at the time."""
SECONDS = 5.0
"""For what has no deadline of its own."""
DAMAGED = "The knowledge index is damaged. Run: flask knowledge rebuild"


class FileIndex:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = native_lock()
        self._open: _Generation | None = None
        self._seen: tuple[int, int] | None = None

    @contextmanager
    def reading(self) -> Iterator[FileView | None]:
        generation = self._current()
        if generation is None:
            yield None
            return
        try:
            yield FileView(generation)
        finally:
            with self._lock:
                generation.leave()

    @contextmanager
    def writing(self, model: VectorModel | None, built_at: float) -> Iterator[Writer]:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self._folder.glob("*.new"):  # of a build that was killed
                shutil.rmtree(left)
            writer = _FileWriter(self._folder, secrets.token_hex(8), model, built_at)
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailable(f"The index cannot be written to {self._folder}.", detail=str(error)) from error
        try:
            yield writer
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailable(f"The index cannot be written to {self._folder}.", detail=str(error)) from error
        finally:
            writer.discard()

    def clear(self) -> None:
        (self._folder / "current").unlink(missing_ok=True)
        for folder in self._folder.glob("generation-*"):
            shutil.rmtree(folder)

    def close(self) -> None:
        with self._lock:
            if self._open is not None:
                self._open.retire()
            self._open = self._seen = None

    def _current(self) -> _Generation | None:
        """The generation that the pointer names, entered. Looked at for each search: it costs a few microseconds."""
        with self._lock:
            for last in (False, True):
                try:
                    found = os.stat(self._folder / "current")  # noqa: PTH116 half the time of Path
                    if self._seen != (found.st_ino, found.st_mtime_ns):
                        self._change_to(_Generation(self._folder / (self._folder / "current").read_text(encoding="utf-8").strip()))
                        self._seen = found.st_ino, found.st_mtime_ns
                except FileNotFoundError as error:
                    if not (self._folder / "current").exists():
                        self._change_to(None)
                        self._seen = None
                    elif last:  # else it was replaced, and what it pointed to removed, between our two looks
                        raise StoreUnavailable(DAMAGED, detail=str(error)) from error
                    else:
                        continue
                except (OSError, EOFError, ValueError, KeyError, TypeError, sqlite3.Error) as error:
                    raise StoreUnavailable(DAMAGED, detail=f"{type(error).__name__}: {error}") from error
                break
            if self._open is not None:
                self._open.enter()
            return self._open

    def _change_to(self, generation: _Generation | None) -> None:
        if self._open is not None:
            self._open.retire()
        self._open = generation


class _Generation:
    """What is open of one generation. Entered and left under the lock of the index; retired, it closes when the last reader has left."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "index.db"
        self.state = unpacked_state((folder / "state.json").read_bytes())
        self._free: list[sqlite3.Connection] = []
        self._readers = 0
        self._retired = False
        connection = self._connected()
        access, labels = stored_codes(connection)
        self._free.append(connection)
        dimensions = self.state.model.dimensions if self.state.model else None
        self.shelves = {kind: Shelf(folder, kind, dimensions, access, labels) for kind in KINDS}

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{self._path}?mode=ro&immutable=1", uri=True, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA mmap_size={1 << 31}")
        return connection

    @contextmanager
    def connection(self, look: Callable[[], bool]) -> Iterator[sqlite3.Connection]:
        """One that no other thread uses meanwhile; `look` says whether the time is over."""
        connection = self._free.pop() if self._free else self._connected()
        connection.set_progress_handler(look, LOOK_EVERY)
        try:
            yield connection
        finally:
            connection.set_progress_handler(None, 0)
            self._free.append(connection)

    def enter(self) -> None:
        self._readers += 1

    def leave(self) -> None:
        self._readers -= 1
        self._close_if_done()

    def retire(self) -> None:
        self._retired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._retired and not self._readers:
            while self._free:
                self._free.pop().close()


class FileView:
    def __init__(self, generation: _Generation) -> None:
        self._generation = generation

    @property
    def state(self) -> IndexState:
        return self._generation.state

    def count(self, where: Where) -> int:
        return self._beside(None, lambda _, __: self._shelf(where).count(where))

    def lexical(self, words: Sequence[str], where: Where, most: int, deadline: Deadline) -> Sequence[Match]:
        return self._beside(deadline, lambda connection, _: self._shelf(where).lexical(connection, words, where, most))

    def nearest(self, vector: Sequence[float], model: VectorModel, where: Where, most: int, deadline: Deadline) -> Sequence[Match]:
        made_by = self.state.model
        if made_by is None or not made_by.same_as(model) or len(vector) != made_by.dimensions:
            raise KnowledgeRefused(wrong_model(made_by, model))
        return self._beside(deadline, lambda _, look: self._shelf(where).nearest(vector, where, most, look))

    def documents(self, where: Where, keys: Sequence[int]) -> Mapping[int, Document]:
        return self._beside(None, lambda connection, _: self._shelf(where).documents(connection, keys))

    def passages(self, where: Where, matches: Sequence[Match]) -> Sequence[str]:
        return self._beside(None, lambda connection, _: self._shelf(where).passages(connection, matches))

    def find(self, number: str, where: Where) -> Document | None:
        rows = self._select("d.body", where, "d.folded = ?", (number.casefold(),), "ORDER BY d.updated DESC, d.key DESC LIMIT 1")
        return unpacked(rows[0][0]) if rows else None

    def page(self, after: str, most: int, where: Where) -> Sequence[Document]:
        rows = self._select("d.body, max(d.updated)", where, "d.number > ?", (after,), f"GROUP BY d.number ORDER BY d.number LIMIT {int(most)}")
        return [unpacked(body) for body, _ in rows]

    def numbers(self, typed: str, most: int, where: Where) -> Sequence[str]:
        folded = typed.casefold()
        rows = self._select("DISTINCT d.number", where, "d.folded >= ? AND d.folded < ?", (folded, folded + "\U0010ffff"),
                            f"ORDER BY d.folded LIMIT {int(most)}")
        return [number for (number,) in rows]

    def _select(self, columns: str, where: Where, condition: str, parameters: Sequence[str], end: str) -> list[tuple[str, ...]]:
        return self._beside(None, lambda connection, _: self._shelf(where).select(
            connection, where, columns=columns, condition=condition, parameters=parameters, end=end))

    def _shelf(self, where: Where) -> Shelf:
        return self._generation.shelves[where.kind]

    def _beside(self, deadline: Deadline | None, work: Callable[[sqlite3.Connection, Callable[[], None]], T]) -> T:
        """In a real thread, as soon as one is free. Raises TooBusy when the time is over."""
        until = deadline or Deadline.after(SECONDS)
        return in_free_real_thread(until.left, _too_busy, self._timed, until, work)

    def _timed(self, until: Deadline, work: Callable[[sqlite3.Connection, Callable[[], None]], T]) -> T:
        def look() -> None:
            if not until.left:
                raise TooBusy("The search took too long. Ask with fewer or rarer words.")

        look()
        try:
            with self._generation.connection(lambda: not until.left) as connection:
                return work(connection, look)
        except sqlite3.Error as error:
            look()
            raise StoreUnavailable(DAMAGED, detail=str(error)) from error


class _FileWriter:
    def __init__(self, root: Path, generation: str, model: VectorModel | None, built_at: float) -> None:
        self._root, self._generation, self._model, self._built_at = root, generation, model, built_at
        self._folder = root / f"generation-{generation}.new"
        self._folder.mkdir(mode=0o700)
        self._connection = sqlite3.connect(self._folder / "index.db", isolation_level=None)
        for statement in ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "BEGIN", *SHARED):  # a broken one is thrown away
            self._connection.execute(statement)
        self._codes = Codes()
        self._shelves = {kind: ShelfWriter(self._folder, kind, self._connection, self._codes) for kind in KINDS}

    def add(self, document: Document, readers: Readers, passages: Sequence[str], vectors: Sequence[Sequence[float]] | None) -> None:
        self._shelves[document.kind].add(document, readers, passages, vectors)

    def publish(self, left_out: Mapping[str, int], changed: Sequence[str]) -> IndexState:
        for shelf in self._shelves.values():
            shelf.finish()
        self._codes.store(self._connection)
        self._connection.execute("COMMIT")
        self._connection.execute("ANALYZE")
        self._connection.close()
        counts: dict[str, int] = {kind: shelf.documents for kind, shelf in self._shelves.items()}
        passages = sum(shelf.passages for shelf in self._shelves.values())
        state = IndexState(self._generation, self._built_at, counts, passages, self._model, left_out, tuple(changed))
        (self._folder / "state.json").write_bytes(packed_state(state))
        for path in self._folder.iterdir():
            _sync(path)
        whole = self._folder.with_suffix("")
        self._folder.rename(whole)
        before = self._pointed_to()
        pointer = self._root / "current.new"
        pointer.write_text(whole.name, encoding="utf-8")
        _sync(pointer)
        pointer.replace(self._root / "current")
        _sync(self._root)
        for folder in self._root.glob("generation-*"):
            if folder.name not in (whole.name, before):
                shutil.rmtree(folder, ignore_errors=True)
        return state

    def _pointed_to(self) -> str:
        with contextlib.suppress(OSError):
            return (self._root / "current").read_text(encoding="utf-8").strip()
        return ""

    def discard(self) -> None:
        """What was not published."""
        for shelf in self._shelves.values():
            shelf.close()
        self._connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _too_busy() -> TooBusy:
    return TooBusy("Too many searches are waiting. Try again in a few seconds.")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def wrong_model(made_by: VectorModel | None, model: VectorModel) -> str:
    """For whoever can mend it."""
    if made_by is None:
        return "The index has no vectors. Run: flask knowledge rebuild"
    return (f"The vectors of the index were made by {made_by.name} ({made_by.dimensions} numbers each), and now {model.name} "
            f"({model.dimensions}) answers: they cannot be compared. Run: flask knowledge rebuild, or set EMBEDDING_MODEL back.")
