"""Everything that was imported → a new generation of the index. A vector is kept by what it was made of, so a build that broke off goes on."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import orjson

from mcp_server.clock import Clock
from mcp_server.deadline import Deadline
from mcp_server.errors import ContextTooLong, DependencyUnavailable, KnowledgeRefused

from .access import Container, Policy
from .batches import batched
from .chunks import embedded_text, passages_of
from .documents import ANYBODY, Document, Kind, Readers
from .ports import Embedder, Index, IndexState, VectorModel, Where

BATCH = 32
"""Texts of one request to the model."""
BATCH_SECONDS = 180.0
AT_ONCE = 256
"""Documents whose vectors are looked up together."""
SHORTEST = 40
"""Characters; what is shorter is not halved to make it fit."""
MOST_CHANGED = 500
Vector = Sequence[float]
Progress = Callable[[str, int, int], None]
"""Told the stage, how many are done and how many there are."""


class Corpus(Protocol):
    """What was imported, and the vectors made of it."""

    def count(self) -> int: ...
    def documents(self) -> Iterator[Document]: ...
    def containers(self) -> Mapping[Kind, Mapping[str, Container]]: ...
    def vectors(self, model: VectorModel, digests: Sequence[str]) -> Mapping[str, Vector]: ...
    def keep_vectors(self, model: VectorModel, vectors: Mapping[str, Vector]) -> None:
        """Committed when it returns."""

    def forget_vectors_but(self, model: VectorModel, digests: Iterable[str]) -> None: ...


class Builder:
    """`embedder` None: an index of words only."""

    def __init__(self, corpus: Corpus, index: Index, embedder: Embedder | None, policy: Policy, clock: Clock) -> None:
        self._corpus, self._index, self._embedder, self._policy, self._clock = corpus, index, embedder, policy, clock

    def build(self, progress: Progress) -> IndexState:
        """Raises a ModelError when the model fails: the index that is there stays, and what was embedded is kept for the next time."""
        left_out: Counter[str] = Counter()
        model = self._identified() if self._embedder else None
        if model is not None:
            self._embed_missing(model, progress)
        total, used = self._corpus.count(), set[str]()
        before, changed = self._shown_before(), list[str]()
        with self._index.writing(model, self._clock()) as writer:
            done = 0
            for documents in batched(self._readable(left_out), AT_ONCE):
                texts = [passages_of(document) for document, _ in documents]
                digests = [[digest_of(embedded_text(document.title, text)) for text in passages]
                           for (document, _), passages in zip(documents, texts, strict=True)]
                known = self._known(model, digests)
                for (document, readers), passages, own in zip(documents, texts, digests, strict=True):
                    writer.add(document, readers, passages, None if model is None else [known[digest] for digest in own])
                    used.update(own)
                    if readers.admit(ANYBODY) and before.get(document.number, "") not in ("", _digest(document)):
                        changed.append(document.number)
                done += len(documents)
                progress("Writing the index", done, total - sum(left_out.values()))
            state = writer.publish(dict(left_out), changed[:MOST_CHANGED])
        if model is not None:
            self._corpus.forget_vectors_but(model, used)
        return state

    def _readable(self, left_out: Counter[str]) -> Iterator[tuple[Document, Readers]]:
        containers = self._corpus.containers()
        for document in self._corpus.documents():
            readers = self._policy.readers(document, containers)
            if isinstance(readers, str):
                left_out[f"{document.kind} {readers}"] += 1
            else:
                yield document, readers

    def _shown_before(self) -> dict[str, str]:
        """Digests of the articles that everybody may read, as they are searched now."""
        found: dict[str, str] = {}
        where, after = Where("article", ANYBODY, self._clock()), ""
        with suppress(DependencyUnavailable), self._index.reading() as view:  # a damaged one is about to be replaced
            while view is not None and (page := view.page(after, AT_ONCE, where)):
                found |= {document.number: _digest(document) for document in page}
                after = page[-1].number
        return found

    def _known(self, model: VectorModel | None, digests: Sequence[Sequence[str]]) -> Mapping[str, Vector]:
        if model is None:
            return {}
        return self._corpus.vectors(model, list({digest for own in digests for digest in own}))

    def _embed_missing(self, model: VectorModel, progress: Progress) -> None:
        missing: dict[str, str] = {}
        done, total = 0, self._corpus.count()
        for documents in batched(self._readable(Counter()), AT_ONCE):
            texts = [embedded_text(document.title, text) for document, _ in documents for text in passages_of(document)]
            by_digest = {digest_of(text): text for text in texts}
            known = self._corpus.vectors(model, list(by_digest))
            missing |= {digest: text for digest, text in by_digest.items() if digest not in known}
            while len(missing) >= BATCH:
                batch = [missing.popitem() for _ in range(BATCH)]
                self._corpus.keep_vectors(model, self._embedded(model, batch))
            done += len(documents)
            progress("Making vectors", done, total)
        if missing:
            for rest in batched(missing.items(), BATCH):
                self._corpus.keep_vectors(model, self._embedded(model, rest))

    def _embedded(self, model: VectorModel, batch: Sequence[tuple[str, str]]) -> Mapping[str, Vector]:
        digests = [digest for digest, _ in batch]
        return dict(zip(digests, self._vectors(model, [text for _, text in batch]), strict=True))

    def _vectors(self, model: VectorModel, texts: Sequence[str]) -> list[Vector]:
        """What does not fit the model is halved, and the mean of the halves stands for the whole: nothing of it is cut away."""
        try:
            return self._asked(model, texts)
        except ContextTooLong:
            if len(texts) > 1:
                return [vector for text in texts for vector in self._vectors(model, [text])]
            text, middle = texts[0], len(texts[0]) // 2
            if middle < SHORTEST:
                raise
            return [_mean(self._vectors(model, [text[:middle], text[middle:]]))]

    def _asked(self, model: VectorModel, texts: Sequence[str]) -> list[Vector]:
        """Raises KnowledgeRefused when another model answers than at the beginning, or not with vectors."""
        made = self._embedder.embed(texts, Deadline.after(BATCH_SECONDS)) if self._embedder else None
        if made is None or VectorModel(made.model.name, made.model.dimensions, made.model.digest) != model:
            raise KnowledgeRefused("The embedding model changed while vectors were made. Run it again.")
        vectors = [[float(number) for number in vector] for vector in made.vectors]
        if len(vectors) != len(texts) or any(len(vector) != model.dimensions or not all(map(math.isfinite, vector)) for vector in vectors):
            raise KnowledgeRefused(f"The embedding model {model.name} did not answer with a vector of {model.dimensions} numbers for each text.")
        return [_normalised(vector) for vector in vectors]

    def _identified(self) -> VectorModel | None:
        """Which model answers. Its vectors are kept under its name, so it is asked before any is looked up."""
        if self._embedder is None:
            return None
        made = self._embedder.embed(["Which model answers?"], Deadline.after(BATCH_SECONDS)).model
        return VectorModel(made.name, made.dimensions, made.digest)


def _digest(document: Document) -> str:
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _normalised(vector: Vector) -> Vector:
    length = math.sqrt(math.fsum(number * number for number in vector))
    if not length:
        raise KnowledgeRefused("The embedding model answered with a vector of zeros. Choose another model: EMBEDDING_MODEL.")
    return [number / length for number in vector]


def _mean(vectors: Sequence[Vector]) -> Vector:
    return _normalised([math.fsum(numbers) for numbers in zip(*vectors, strict=True)])
