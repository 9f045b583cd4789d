"""What a tool may ask of the knowledge; and what the knowledge asks of an index, and of what makes vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mcp_server.deadline import Deadline
from mcp_server.knowledge.documents import ANYBODY, Document, Kind, Reader, Readers


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

    `empty`: there is nothing of this kind that the reader may read. `generation`: of the index.
    """

    hits: Sequence[Hit] = ()
    method: Literal["lexical", "lexical+vectors"] = "lexical"
    degraded: str = ""
    empty: bool = False
    generation: str = ""


class Knowledge(Protocol):
    def search(
        self, query: str, *, kind: Kind, deadline: Deadline, limit: int = 5, filters: Mapping[str, str] | None = None, reader: Reader = ANYBODY,
    ) -> Found:
        """At most `limit` documents of a kind that `reader` may read. `filters`: facts that must be equal, without regard to case.

        Stops no other greenlet. A model that is away costs the vectors, never the answer. Raises TooBusy and StoreUnavailable.
        """

    def find(self, kind: Kind, number: str, *, reader: Reader = ANYBODY) -> Document | None:
        """The document of this number, if `reader` may read it. Raises StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class VectorModel:
    """What made the vectors of an index. Vectors of two models cannot be compared."""

    name: str
    dimensions: int
    digest: str = ""

    def same_as(self, other: VectorModel) -> bool:
        """A digest that one of the two does not tell is not compared."""
        digests = {self.digest, other.digest} - {""}
        return (self.name, self.dimensions) == (other.name, other.dimensions) and len(digests) < 2  # noqa: PLR2004 two that differ


class MadeBy(Protocol):
    """`llm.ports.EmbeddingModel`, as much of it as is needed here."""

    @property
    def name(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def digest(self) -> str: ...


class Vectors(Protocol):
    """`llm.ports.Embeddings`."""

    @property
    def vectors(self) -> Sequence[Sequence[float]]: ...
    @property
    def model(self) -> MadeBy: ...


class Embedder(Protocol):
    """`llm.ports.Embedder`."""

    def embed(self, texts: Sequence[str], deadline: Deadline) -> Vectors:
        """One vector of length 1 for each text. Raises a ModelError."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which documents are compared at all. `now`: those that have expired, or are not valid yet, are not."""

    kind: Kind
    reader: Reader
    now: float
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """A passage of a document; the key is good within one generation. `score`: more is better, comparable within one list."""

    key: int
    passage: int
    score: float


@dataclass(frozen=True, slots=True)
class IndexState:
    """What a generation holds. `left_out`: by reason, how many documents nobody may be shown.

    `changed`: numbers of articles that everybody may read and that are not as the generation before had them; the first MOST_CHANGED.
    """

    generation: str
    built_at: float
    documents: Mapping[str, int]
    passages: int
    model: VectorModel | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    changed: Sequence[str] = ()


class View(Protocol):
    """One generation, from its opening to the end of the block. Every method ends by the deadline or raises TooBusy, and stops no other greenlet."""

    @property
    def state(self) -> IndexState: ...
    def count(self, where: Where) -> int:
        """How many documents there are."""

    def lexical(self, words: Sequence[str], where: Where, most: int, deadline: Deadline) -> Sequence[Match]:
        """The passages with these words, at most so many, the best first; those of other documents were taken out before they were ranked."""

    def nearest(self, vector: Sequence[float], model: VectorModel, where: Where, most: int, deadline: Deadline) -> Sequence[Match]:
        """The passages nearest to the vector, likewise. `score` is the cosine. Raises KnowledgeRefused for vectors of another model or size."""

    def documents(self, where: Where, keys: Sequence[int]) -> Mapping[int, Document]:
        """Of keys that a list of this kind had."""

    def passages(self, where: Where, matches: Sequence[Match]) -> Sequence[str]:
        """The texts, likewise."""

    def find(self, number: str, where: Where) -> Document | None:
        """The newest one of this number, without regard to case."""

    def page(self, after: str, most: int, where: Where) -> Sequence[Document]:
        """In the order of their numbers, behind the number `after`."""

    def numbers(self, typed: str, most: int, where: Where) -> Sequence[str]:
        """Numbers that begin with what is typed, without regard to case, in their order."""


class Writer(Protocol):
    """A new generation that nobody sees yet."""

    def add(self, document: Document, readers: Readers, passages: Sequence[str], vectors: Sequence[Sequence[float]] | None) -> None: ...
    def publish(self, left_out: Mapping[str, int], changed: Sequence[str]) -> IndexState:
        """From now on it is the one that is searched, everywhere and as a whole."""


class Index(Protocol):
    """Where the generations are. A writer that ends without `publish` leaves nothing behind."""

    def reading(self) -> AbstractContextManager[View | None]:
        """The generation that answers now; None before the first one. Raises StoreUnavailable."""

    def writing(self, model: VectorModel | None, built_at: float) -> AbstractContextManager[Writer]: ...
    def clear(self) -> None:
        """No generation any more."""

    def close(self) -> None: ...
