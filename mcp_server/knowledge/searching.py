"""A question → words and, where there is a model, a vector → the documents of both lists, in one order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mcp_server.clock import Clock, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import KnowledgeRefused, ModelError

from .documents import ANYBODY, FILTERS, Document, Kind, Reader
from .fusion import fuse
from .ports import Embedder, Found, Hit, Index, Match, VectorModel, View, Where
from .words import MOST_CHARACTERS, words_of

MATCHES = 10
"""Passages that each method finds for a document that is wanted: several of them may be of one document."""
QUESTION_SECONDS = 5.0
"""For the vector of a question. Without it the words answer."""
MOST_LIMIT = 50


Searched = Callable[[Kind, str, str, float], object]
"""Told of each search: the kind, the method, ok or degraded or failed, and the seconds."""


class SearchableKnowledge:
    """`embedder` None: words only."""

    def __init__(self, index: Index, embedder: Embedder | None, clock: Clock, searched: Searched = lambda *_: None) -> None:
        self._searched = searched
        self._index = index
        self._embedder = embedder
        self._clock = clock

    def search(
        self, query: str, *, kind: Kind, deadline: Deadline, limit: int = 5, filters: Mapping[str, str] | None = None, reader: Reader = ANYBODY,
    ) -> Found:
        began, method, outcome = elapsed(), "none", "failed"
        try:
            found = self._search(query, deadline, limit, filters, kind=kind, reader=reader)
            method, outcome = found.method, "degraded" if found.degraded else "ok"
            return found
        finally:
            self._searched(kind, method, outcome, elapsed() - began)

    def _search(
        self, query: str, deadline: Deadline, limit: int, filters: Mapping[str, str] | None, *, kind: Kind, reader: Reader,
    ) -> Found:
        if unknown := set(filters or ()) - set(FILTERS):
            raise ValueError(f"no such filter: {', '.join(sorted(unknown))}")
        where = Where(kind, reader, self._clock(), {name: value for name, value in (filters or {}).items() if value})
        most = max(1, min(limit, MOST_LIMIT))
        vector, degraded = self._vector(query, kind, deadline)
        with self._index.reading() as view:
            if view is None or not view.state.documents.get(kind):
                return Found(empty=True)
            lists: dict[str, Sequence[Match]] = {"lexical": view.lexical(words_of(query), where, most * MATCHES, deadline)}
            if vector is not None:
                try:
                    lists["vectors"] = view.nearest(*vector, where, most * MATCHES, deadline)
                except KnowledgeRefused as error:
                    degraded = f"Only words were compared. {error.message}"
            hits = _hits(view, where, lists, most)
            generation = view.state.generation
            empty = not hits and not view.count(Where(kind, reader, where.now))
        return Found(hits, "lexical+vectors" if "vectors" in lists else "lexical", degraded, empty, generation)

    def find(self, kind: Kind, number: str, *, reader: Reader = ANYBODY) -> Document | None:
        with self._index.reading() as view:
            return view.find(number, Where(kind, reader, self._clock())) if view else None

    def _vector(self, query: str, kind: Kind, deadline: Deadline) -> tuple[tuple[list[float], VectorModel] | None, str]:
        """The vector of the question, and what made it; or why there is none although the index has some. Nothing of the index is held meanwhile."""
        with self._index.reading() as view:
            if view is None or view.state.model is None or not view.state.documents.get(kind):
                return None, ""
        if self._embedder is None:
            return None, "No embedding model is configured: only words were compared."
        soon = Deadline(min(deadline.at, deadline.clock() + QUESTION_SECONDS), deadline.clock, deadline.patient)
        try:
            made = self._embedder.embed([query[:MOST_CHARACTERS]], soon)
        except ModelError as error:
            return None, f"Only words were compared: the embedding model does not answer. {error.message}"
        vector = [float(number) for number in made.vectors[0]]
        if not all(map(math.isfinite, vector)):
            return None, "Only words were compared: the embedding model made a vector that is none."
        return (vector, VectorModel(made.model.name, made.model.dimensions, made.model.digest)), ""


def _hits(view: View, where: Where, lists: Mapping[str, Sequence[Match]], most: int) -> list[Hit]:
    fused = fuse(lists)[:most]
    if not fused:
        return []
    documents = view.documents(where, [each.key for each in fused])
    best = [each.best for each in fused if each.best is not None]
    passages = view.passages(where, best)
    return [
        Hit(documents[each.key], round(each.score, 4), passage, each.ranks, each.similarity)
        for each, passage in zip(fused, passages, strict=True)]


class NoKnowledge:
    """Of a server that has none."""

    def search(self, query: str, **_: Any) -> Found:  # noqa: ARG002 the port's
        return Found(empty=True)

    def find(self, kind: Kind, number: str, *, reader: Reader = ANYBODY) -> Document | None:  # noqa: ARG002 the port's
        return None


NO_KNOWLEDGE = NoKnowledge()
