"""Texts to vectors, over every back end alike: in batches, checked, of length 1, and always by the same model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from mcp_server.clock import Elapsed, elapsed
from mcp_server.concurrency import give_up_after
from mcp_server.deadline import Deadline
from mcp_server.errors import BadModelOutput
from mcp_server.llm.breaker import Breaker
from mcp_server.llm.http import too_late
from mcp_server.llm.observing import NOBODY, Observer
from mcp_server.llm.ports import EmbeddingModel, Embeddings

TEXTS_AT_ONCE = 32


class Answered(NamedTuple):
    """What a back end answered, not looked at yet."""

    vectors: Any
    name: str
    digest: str


class Vectors(Protocol):
    """One way to ask a back end."""

    def ask(self, texts: Sequence[str], deadline: Deadline) -> Answered:
        """Raises a ModelError. Never lets the server cut a text."""


class CheckedEmbedder:
    """An Embedder of any `Vectors`.

    A vector with a NaN, an infinity or nothing but zeros, or of another size than those before it, is an error, never a result: one
    of them would spoil every search after it. A server that cannot be reached is not tried by every call.
    """

    def __init__(self, vectors: Vectors, *, at_once: int = TEXTS_AT_ONCE, clock: Elapsed = elapsed, observer: Observer = NOBODY) -> None:
        self._vectors = vectors
        self._at_once = at_once
        self._breaker = Breaker(clock, lambda is_open: observer.breaker("embedding", is_open=is_open))
        self._dimensions: dict[tuple[str, str], int] = {}

    def embed(self, texts: Sequence[str], deadline: Deadline) -> Embeddings:
        """Raises a ModelError. No texts are asked as one, so that there is always a model to name."""
        found: list[list[float]] = []
        by: EmbeddingModel | None = None
        with give_up_after(deadline.left, too_late):
            for start in range(0, max(1, len(texts)), self._at_once):
                batch = texts[start : start + self._at_once] or ["."]
                answered = self._ask(batch, deadline)
                vectors = _numbers(answered.vectors, len(batch))
                model = EmbeddingModel(answered.name, self._size(answered, vectors), answered.digest)
                if by not in (None, model):
                    raise _bad("the model changed between two batches")
                by = model
                found += map(_of_length_1, vectors)
        assert by is not None  # noqa: S101 -- there is always a batch
        return Embeddings(found[: len(texts)], by)

    def _ask(self, texts: Sequence[str], deadline: Deadline) -> Answered:
        return self._breaker.call(lambda: self._vectors.ask(texts, deadline))

    def _size(self, answered: Answered, vectors: list[list[float]]) -> int:
        sizes = {len(vector) for vector in vectors}
        size = self._dimensions.setdefault((answered.name, answered.digest), max(sizes))
        if sizes != {size}:
            raise _bad(f"vectors of {sorted(sizes)} numbers from a model that gave {size} before")
        return size


def _numbers(vectors: Any, wanted: int) -> list[list[float]]:
    if not isinstance(vectors, list) or len(vectors) != wanted:
        raise _bad(f"{len(vectors) if isinstance(vectors, list) else 'no'} vectors for {wanted} texts")
    for vector in vectors:
        if not isinstance(vector, list) or not vector or not all(type(number) in (float, int) for number in vector):
            raise _bad("a vector that is no list of numbers")
    return vectors


def _of_length_1(vector: list[float]) -> list[float]:
    length = math.hypot(*vector)
    if not math.isfinite(length) or length == 0:
        raise _bad(f"a vector of length {length}")
    return [number / length for number in vector]


def _bad(detail: str) -> BadModelOutput:
    text = "The embedding model's answer cannot be used. Try again; if it fails again, ask the operator to check EMBEDDING_MODEL."
    return BadModelOutput(text, detail=detail)
