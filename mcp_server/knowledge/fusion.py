"""One list of several, by the places in them: reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .ports import Match

DAMPING = 60


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
    for method, matches in lists.items():
        ordered = dict.fromkeys(match.key for match in matches)
        ranks = {key: rank for rank, key in enumerate(ordered, 1)}
        for match in matches:
            document = fused.setdefault(match.key, Fused(match.key))
            if method in document.ranks:
                continue
            rank = document.ranks[method] = ranks[match.key]
            document.score += (DAMPING + 1) / (DAMPING + rank) / len(lists)
            if document.best is None or rank < document.highest:
                document.best, document.highest = match, rank
            if method == "vectors":
                document.similarity = match.score
    return sorted(fused.values(), key=lambda each: (-each.score, each.key))
