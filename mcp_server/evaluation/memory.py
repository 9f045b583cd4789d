"""Knowledge in memory: the incidents that are learned from, the articles and items that are searched. For some hundred documents."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from mcp_server.deadline import Deadline
from mcp_server.errors import ContextTooLong, ModelError
from mcp_server.knowledge.documents import ANYBODY, Document, Kind, Reader
from mcp_server.knowledge.ports import Found, Hit
from mcp_server.llm.ports import Embedder
from mcp_server.llm.untrusted import shortened

READ = (1000, 300)
"""Characters of a text that are embedded; the second when the model cannot read the first."""
RANK_CONSTANT, SATURATION, LENGTH_WEIGHT = 60, 1.2, 0.75  # of reciprocal rank fusion and of BM25, as they are used everywhere
_WORD = re.compile(r"[^\W_]+")


class MemoryKnowledge:
    """Vectors are made at the first search, so that opening it asks no model. Without an embedder it finds by words."""

    def __init__(self, documents: Sequence[Document], embedder: Embedder | None) -> None:
        self._documents = tuple(documents)
        self._embedder = embedder
        self._vectors: list[Sequence[float]] | None = None
        self._words = [Counter(_words(_text(document))) for document in self._documents]
        self._containing = Counter(word for words in self._words for word in words)
        self._mean_length = sum(map(Counter.total, self._words)) / max(1, len(self._words))

    def search(
        self, query: str, *, kind: Kind, deadline: Deadline, limit: int = 5, filters: Mapping[str, str] | None = None, reader: Reader = ANYBODY,  # noqa: ARG002
    ) -> Found:
        chosen = [index for index, document in enumerate(self._documents) if document.kind == kind]
        asked = set(_words(query))
        scores = {index: self._lexical(index, asked) for index in chosen}
        ranks = {"lexical": _ranked({index: score for index, score in scores.items() if score > 0})}
        similarities: Mapping[int, float] = {}
        degraded = ""
        try:
            similarities = self._similarities(query, chosen, deadline)
            if similarities:
                ranks["vectors"] = _ranked(similarities)
        except ModelError as error:
            degraded = error.message
        fused = {index: sum(1 / (RANK_CONSTANT + ranked[index]) for ranked in ranks.values() if index in ranked) for index in chosen}
        first = len(ranks) / (RANK_CONSTANT + 1)
        best = sorted((index for index in chosen if fused[index] > 0), key=lambda index: (-fused[index], index))[:limit]
        hits = tuple(
            Hit(self._documents[index], fused[index] / first, self._documents[index].text[:300],
                {name: ranked[index] for name, ranked in ranks.items() if index in ranked}, similarities.get(index))
            for index in best)
        return Found(hits, "lexical+vectors" if similarities else "lexical", degraded, empty=not chosen)

    def find(self, kind: Kind, number: str, *, reader: Reader = ANYBODY) -> Document | None:  # noqa: ARG002
        return next((document for document in self._documents if (document.kind, document.number) == (kind, number)), None)

    def _lexical(self, index: int, asked: set[str]) -> float:
        """BM25."""
        words, score = self._words[index], 0.0
        for word in asked:
            if frequency := words[word]:
                rarity = math.log(1 + (len(self._documents) - self._containing[word] + 0.5) / (self._containing[word] + 0.5))
                length = 1 - LENGTH_WEIGHT + LENGTH_WEIGHT * words.total() / self._mean_length
                score += rarity * frequency * (SATURATION + 1) / (frequency + SATURATION * length)
        return score

    def _similarities(self, query: str, chosen: Sequence[int], deadline: Deadline) -> Mapping[int, float]:
        if self._embedder is None:
            return {}
        if self._vectors is None:
            self._vectors = [embedded(self._embedder, _text(document), deadline) for document in self._documents]
        asked = embedded(self._embedder, query, deadline)
        return {index: sum(a * b for a, b in zip(asked, self._vectors[index], strict=True)) for index in chosen}


def embedded(embedder: Embedder, text: str, deadline: Deadline) -> Sequence[float]:
    """Raises a ModelError."""
    for most in READ[:-1]:
        try:
            return embedder.embed([shortened(text, most)], deadline).vectors[0]
        except ContextTooLong:
            continue
    return embedder.embed([shortened(text, READ[-1])], deadline).vectors[0]


def _text(document: Document) -> str:
    return f"{document.title}\n\n{document.text}".strip()


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _ranked(scores: Mapping[int, float]) -> dict[int, int]:
    return {index: rank for rank, index in enumerate(sorted(scores, key=lambda index: (-scores[index], index)), 1)}
