"""What a tool may ask of the knowledge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mcp_server.deadline import Deadline
from mcp_server.knowledge.documents import ANYBODY, Document, Kind, Reader


@dataclass(frozen=True, slots=True)
class Hit:
    """`passage`: the part of the document that fits best. `score`: 1 is first by every method, comparable within one answer only.

    `ranks`: the place by each method, from 1: `lexical`, `vectors`. `similarity`: the cosine to the query, where vectors were compared.
    """

    document: Document
    score: float
    passage: str
    ranks: Mapping[str, int] = field(default_factory=dict)
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The best first. `degraded`: why vectors were not compared although there are some, and what to do.

    `empty`: there is nothing of this kind that the reader may read.
    """

    hits: Sequence[Hit] = ()
    method: Literal["lexical", "lexical+vectors"] = "lexical"
    degraded: str = ""
    empty: bool = False


class Knowledge(Protocol):
    def search(
        self, query: str, *, kind: Kind, deadline: Deadline, limit: int = 5, filters: Mapping[str, str] | None = None, reader: Reader = ANYBODY,
    ) -> Found:
        """At most `limit` documents of a kind that `reader` may read. `filters`: facts that must be equal, without regard to case.

        Stops no other greenlet. A model that is away costs the vectors, never the answer. Raises TooBusy and StoreUnavailable.
        """

    def find(self, kind: Kind, number: str, *, reader: Reader = ANYBODY) -> Document | None:
        """The document of this number, if `reader` may read it. Raises StoreUnavailable."""
