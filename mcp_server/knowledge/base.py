"""What belongs together of the knowledge of one server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .ports import Embedder, Index
from .searching import SearchableKnowledge


@dataclass(frozen=True, slots=True)
class KnowledgeBase:
    """`corpus`: what was imported; commands alone use it."""

    search: SearchableKnowledge
    index: Index
    corpus: Any
    embedder: Embedder | None

    def close(self) -> None:
        self.index.close()
        self.corpus.close()
