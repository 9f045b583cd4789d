"""One list of several, by the places in them: reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009), weighted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .ports import Match

DAMPING = 10
"""How slowly places lose their worth. The authors' 60 is for many lists that are alike in worth."""
WEIGHTS = {"vectors": 2.0}
"""Other lists have 1. Chosen on half of the questions of evals/. What is first by words, and among the first eleven by vectors, stays before what
only vectors find first: error codes and product names are copied, letter for letter."""


@dataclass(slots=True)
class Fused:
    """A document in the order of all lists. `best`: its passage that stands highest in any of them."""

    key: int
    score: float = 0.0
    ranks: dict[str, int] = field(default_factory=dict)
    best: Match | None = None
    highest: int = 0
    similarity: float | None = None


def fuse(lists: Mapping[str, Sequence[Match]]) -> list[Fused]:
    """The documents of the lists, the best first. A document counts once in each list, by its best passage. 1 is first in all of them."""
    fused: dict[int, Fused] = {}
    whole = sum(WEIGHTS.get(method, 1.0) for method in lists)
    for method, matches in lists.items():
        ordered = dict.fromkeys(match.key for match in matches)
        ranks = {key: rank for rank, key in enumerate(ordered, 1)}
        for match in matches:
            document = fused.setdefault(match.key, Fused(match.key))
            if method in document.ranks:
                continue
            rank = document.ranks[method] = ranks[match.key]
            document.score += WEIGHTS.get(method, 1.0) / whole * (DAMPING + 1) / (DAMPING + rank)
            if document.best is None or rank < document.highest:
                document.best, document.highest = match, rank
            if method == "vectors":
                document.similarity = match.score
    return sorted(fused.values(), key=lambda each: (-each.score, each.key))
