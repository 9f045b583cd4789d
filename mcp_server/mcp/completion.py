"""What an argument that somebody is typing can become."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

MOST_VALUES = 100
"""Values of one answer (2025-06-18, completion)."""


def matching(values: Iterable[str], typed: str) -> list[str]:
    """The values that begin with what is typed, without regard to case, each once and in their order."""
    folded = typed.casefold()
    return [value for value in dict.fromkeys(values) if value.casefold().startswith(folded)]


def on_the_wire(found: Sequence[str]) -> dict[str, Any]:
    return {"values": list(found[:MOST_VALUES]), "total": len(found), "hasMore": len(found) > MOST_VALUES}
