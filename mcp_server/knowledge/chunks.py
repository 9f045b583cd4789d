"""A document in passages: long enough to say something, short enough for a model that makes vectors of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .documents import Document

LONGEST = 750
"""Characters of a passage, about 190 tokens of English: with the title it fits what small models read (256)."""
OVERLAP = 150
"""A passage begins with the last sentence of the one before, if that is no longer."""
MOST_PASSAGES = 4096
_STEPS = (re.compile(r"(?<=\n\n)"), re.compile(r"(?<=\n)"), re.compile(r"(?<=[.!?])(?=\s)"), re.compile(r"(?<=\s)"))
SENTENCES = 2
"""Paragraphs and lines are cut further, so that the last sentence can be repeated; a sentence only if it is too long."""


def passages_of(document: Document) -> list[str]:
    """At least one: what has no text is found by its title."""
    text = document.text
    if resolution := document.facts.get("resolution"):
        text = f"{text}\n\nResolution: {resolution}".strip()
    return list(_packed(text))[:MOST_PASSAGES] or [document.title]


def embedded_text(title: str, passage: str) -> str:
    """What a vector is made of: a passage alone may not say what it is about."""
    return passage if title == passage else f"{title[:120]}\n\n{passage}"


def _packed(text: str) -> Iterator[str]:
    held: list[str] = []
    length = fresh = 0
    for piece in _pieces(text, 0):
        if fresh and length + len(piece) > LONGEST:
            yield "".join(held).strip()
            held = held[-1:] if len(held[-1]) <= OVERLAP and len(held[-1]) + len(piece) <= LONGEST else []
            length, fresh = sum(map(len, held)), 0
        held.append(piece)
        length += len(piece)
        fresh += bool(piece.strip())
    if fresh:
        yield "".join(held).strip()


def _pieces(text: str, step: int) -> Iterator[str]:
    """The text in parts none of which is longer than a passage, cut at the best places there are."""
    if step == len(_STEPS):
        yield from (text[start : start + LONGEST] for start in range(0, len(text), LONGEST))
    else:
        for part in _STEPS[step].split(text):
            if len(part) > LONGEST or (step < SENTENCES and len(part) > OVERLAP):
                yield from _pieces(part, step + 1)
            elif part:
                yield part
