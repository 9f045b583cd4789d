"""How the hot state is written down: one JSON object a record, the same in either back end."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeVar

import orjson

from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.models import AuthorizationCode, DeviceAuthorization, Grant, RefreshToken

SLOWER_BY = 5
"""Seconds that a poll which came too early adds to the interval (RFC 8628 §3.5)."""

R = TypeVar("R", AuthorizationCode, DeviceAuthorization, Grant, RefreshToken)


@dataclasses.dataclass(frozen=True, slots=True)
class KeptRefreshToken:
    """A refresh token with all that a store has of it; `successor` is a digest too."""

    digest: str
    token: RefreshToken
    successor: str | None


def dump(record: AuthorizationCode | DeviceAuthorization | Grant | RefreshToken) -> bytes:
    return orjson.dumps(record)


def load(kind: type[R], text: bytes, **changed: Any) -> R:
    """The record, with the fields that changed since it was written.

    Fields that this release does not know are left out, so that one can go back a release. What cannot be read is an
    outage of the store, never "not found".
    """
    try:
        stored = orjson.loads(text)
        known = {field.name: stored[field.name] for field in dataclasses.fields(kind) if field.name in stored}
        return kind(**{**known, **changed})
    except (ValueError, TypeError) as error:
        raise StoreUnavailable(detail=f"A stored {kind.__name__} cannot be read: {error}") from error


def unexpired(record: R, now: float) -> R | None:
    return record if record.expires_at > now else None


def window_of(counter: str, window: int, now: float) -> tuple[str, int]:
    """What the fixed window that `now` is in is called, and the seconds left of it, at least 1."""
    number = int(now // window)
    return f"{counter}:{window}:{number}", max(1, math.ceil((number + 1) * window - now))
