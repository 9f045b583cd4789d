"""A JWT that somebody else signed with a key of theirs: read, judged by its header, and verified (RFC 7515, RFC 8725).

Shared by clients' assertions, providers' ID tokens and identity assertions. What the claims must say is theirs.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import orjson
from joserfc import jws
from joserfc.errors import JoseError

from mcp_server.oauth import client_keys
from mcp_server.oauth.client_keys import ALGORITHMS, Key
from mcp_server.oauth.ports import JwksSource

LEEWAY = 60  # other people's clocks
LONGEST_ID = 256
MOST_CHARACTERS = 8192
MOST_OF_HEADER = 2048
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NOT_FOLLOWED = frozenset({"crit", "b64", "jwk", "jku", "x5u"})
"""Header members that bring a key along or change the rules. Whoever sends them means something that is not done here."""


class JwtRefused(Exception):
    """The text says what is wrong, for the audit, and has nothing of the token."""


@dataclass(frozen=True, slots=True)
class UnverifiedJwt:
    """What it says of itself. Nothing is proven before `require_signed`."""

    compact: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    def checked(self, types: Iterable[str], *, typed: bool = False) -> tuple[str, str | None]:
        """The algorithm and the key id. `types`: what `typ` may be, in small letters; `typed`: it must be there. Raises JwtRefused."""
        algorithm, kid, kind = self.header.get("alg"), self.header.get("kid"), self.header.get("typ")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise JwtRefused("alg")
        if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= LONGEST_ID):
            raise JwtRefused("kid")
        if (typed or "typ" in self.header) and not (isinstance(kind, str) and kind.lower() in types):
            raise JwtRefused("typ")
        if not _NOT_FOLLOWED.isdisjoint(self.header):
            raise JwtRefused("header")
        return algorithm, kid

    def require_signed(self, keys: Iterable[Key], algorithm: str) -> None:
        """By one of the keys. Raises JwtRefused."""
        if not any(_signed(self.compact, key, algorithm) for key in keys):
            raise JwtRefused("signature, or no such key")

    def require_times(self, now: float, *, longest: float, needed: Iterable[str] = ("exp", "iat")) -> None:
        """`exp` and `iat` within `longest` seconds of now, and `nbf` past, allowing for LEEWAY. Raises JwtRefused."""
        within = {"exp": (now - LEEWAY, now + longest + LEEWAY), "nbf": (-math.inf, now + LEEWAY), "iat": (now - longest - LEEWAY, now + LEEWAY)}
        for name, (earliest, latest) in within.items():
            if name not in self.claims and name not in needed:
                continue
            value = self.claims.get(name)
            if not is_time(value) or not earliest < value <= latest:
                raise JwtRefused(name)


class _Registry(jws.JWSRegistry):
    max_header_length = MOST_OF_HEADER


def read(compact: str, most_characters: int = MOST_CHARACTERS) -> UnverifiedJwt:
    """Raises JwtRefused."""
    if len(compact) > most_characters or not _COMPACT.fullmatch(compact):
        raise JwtRefused("too long, or not a signed JWT")
    header, claims, _ = compact.split(".")
    return UnverifiedJwt(compact, _object(header), _object(claims))


def published_keys(published: JwksSource, jwks_uri: str, algorithm: str, kid: str | None, asker: str) -> Iterator[Key]:
    """Those that fit, of a key set at a URL: fetched once more if none fits and it was kept for some time, since keys are rotated.

    `asker` is whose curiosity is bounded. Raises JwksUnavailable.
    """
    found = published.keys(jwks_uri)
    candidates = client_keys.choose(found.jwks, algorithm, kid)
    yield from candidates
    if found.fresh or (candidates and kid is not None):
        return
    again = published.keys_again(jwks_uri, asker)
    if again is not None:
        yield from client_keys.choose(again.jwks, algorithm, kid)


def is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID


def _object(segment: str) -> dict[str, Any]:
    try:
        value = orjson.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (binascii.Error, ValueError):
        raise JwtRefused("not JSON") from None
    if not isinstance(value, dict):
        raise JwtRefused("not an object")
    return value


def _signed(compact: str, key: Key, algorithm: str) -> bool:
    try:
        jws.deserialize_compact(compact, key, registry=_Registry(algorithms=[algorithm], strict_check_header=False))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return True
