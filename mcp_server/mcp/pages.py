"""Lists in pages. A cursor names what was shown last, so that a page repeats and misses nothing when entries come or go."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson

from mcp_server.errors import InvalidParams

PAGE = 200
"""Entries of one page: the tools of this server fit one, because a client may read no further."""
LONGEST_CURSOR = 8192
NOT_OURS = "This cursor was not given out by this server, or what it names is gone. Leave it out to begin with the first page."

Entry = TypeVar("Entry")


def cursor_after(*place: str) -> str:
    """The cursor of the page behind this place."""
    return base64.urlsafe_b64encode(orjson.dumps(place)).rstrip(b"=").decode()


def place_of(cursor: str | None, parts: int) -> tuple[str, ...] | None:
    """What a cursor names, in so many parts; None: the list from its beginning. Raises InvalidParams for what is no cursor of ours."""
    if not cursor:
        return None
    try:
        place = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        raise InvalidParams(NOT_OURS) from None
    if not isinstance(place, list) or len(place) != parts or not all(isinstance(part, str) for part in place) or cursor_after(*place) != cursor:
        raise InvalidParams(NOT_OURS)
    return tuple(place)


def page_of(entries: Sequence[Entry], name: Callable[[Entry], str], cursor: str | None) -> tuple[Sequence[Entry], str | None]:
    """The page that a cursor asks for, and the cursor of the next one. Raises InvalidParams."""
    start = 0
    if (place := place_of(cursor, 1)) is not None:
        start = next((number for number, entry in enumerate(entries, 1) if name(entry) == place[0]), -1)
        if start < 0:
            raise InvalidParams(NOT_OURS)
    page = entries[start : start + PAGE]
    return page, cursor_after(name(page[-1])) if start + PAGE < len(entries) else None
