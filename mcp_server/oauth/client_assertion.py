"""private_key_jwt: a client proves itself with a JWT that it signed (RFC 7523 §2.2 and §3).

Whatever is wrong, the client reads one text; the reason is for the audit. The order is: what is cheap, then the keys, which may
be far away, then the signature, and last the `jti`, so that nobody but the client can use one up.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError

from mcp_server.clock import Clock
from mcp_server.errors import InvalidClient
from mcp_server.oauth import client_keys
from mcp_server.oauth.client_keys import ALGORITHMS
from mcp_server.oauth.models import LONGEST_CLIENT_ID, Client
from mcp_server.oauth.ports import JwksSource, JwksUnavailable, SingleUseStore

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REFUSED = "The client could not be authenticated: its assertion is not valid. Check its key, audience, lifetime and clock, and send each only once."
MOST_CHARACTERS = 8192
MOST_OF_HEADER = 2048
LONGEST_ID = 256
LIFETIME = 600
"""How far ahead `exp` may be, and how long ago `iat`."""
LEEWAY = 60  # other people's clocks
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TYPES = ("jwt", "client-authentication+jwt")
_NOT_FOLLOWED = frozenset({"crit", "b64", "jwk", "jku", "x5u"})
"""Header members that bring a key along or change the rules. Whoever sends them means something that is not done here."""


class _Registry(jws.JWSRegistry):
    max_header_length = MOST_OF_HEADER


def claimed_client(assertion: str) -> str | None:
    """Whom the assertion says it comes from, in characters that a client id may have. Nothing is proven."""
    try:
        subject = _decoded(assertion)[1].get("sub")
    except InvalidClient:
        return None
    return subject if isinstance(subject, str) and 0 < len(subject) <= LONGEST_CLIENT_ID and subject.isascii() and subject.isprintable() else None


class ClientAssertions:
    """Verifies client assertions for one authorization server."""

    def __init__(self, issuer: str, single_use: SingleUseStore, published: JwksSource, clock: Clock) -> None:
        self._audiences = frozenset({issuer, f"{issuer}/oauth/token"})
        self._single_use = single_use
        self._published = published
        self._clock = clock

    def verify(self, assertion: str, client: Client) -> None:
        """Returns when the client signed it, just now and for us, and this is its first use. Raises InvalidClient."""
        if not client.has_keys:
            raise _refused("the client is registered for another method")
        header, claims = _decoded(assertion)
        algorithm, kid = _checked(header)
        self._require(claims, client.client_id)
        if not any(_signed(assertion, key, algorithm) for key in self._candidates(client, algorithm, kid)):
            raise _refused("signature, or no such key")
        jti = hashlib.sha256(orjson.dumps([client.client_id, claims["jti"]])).hexdigest()
        if not self._single_use.claim(f"assertion:{jti}", claims["exp"] + LEEWAY, self._clock()):
            raise _refused("jti was used")

    def _require(self, claims: Mapping[str, Any], client_id: str) -> None:
        now, audience, jti = self._clock(), claims.get("aud"), claims.get("jti")
        if not claims.get("iss") == claims.get("sub") == client_id:
            raise _refused("iss or sub")
        if self._audiences.isdisjoint(name for name in (audience if isinstance(audience, list) else [audience]) if isinstance(name, str)):
            raise _refused("aud")
        if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_ID:
            raise _refused("jti")
        if not _is_time(claims.get("exp")) or not now - LEEWAY < claims["exp"] <= now + LIFETIME + LEEWAY:
            raise _refused("exp")
        if "nbf" in claims and not (_is_time(claims["nbf"]) and claims["nbf"] <= now + LEEWAY):
            raise _refused("nbf")
        if "iat" in claims and not (_is_time(claims["iat"]) and now - LIFETIME - LEEWAY <= claims["iat"] <= now + LEEWAY):
            raise _refused("iat")

    def _candidates(self, client: Client, algorithm: str, kid: str | None) -> Iterator[client_keys.Key]:
        """The registered keys, or those published: once more if none fits and they were fetched some time ago, since keys are rotated."""
        if (registered := client.metadata.get("jwks")) is not None:
            yield from client_keys.choose(registered, algorithm, kid)
            return
        uri = client.metadata.get("jwks_uri")
        if uri is None:
            return
        try:
            found = self._published.keys(uri)
            candidates = client_keys.choose(found.jwks, algorithm, kid)
            yield from candidates
            if found.fresh or (candidates and kid is not None):
                return
            again = self._published.keys_again(uri, client.client_id)
        except JwksUnavailable as error:
            raise _refused(f"jwks_uri: {error}") from error
        if again is not None:
            yield from client_keys.choose(again.jwks, algorithm, kid)


def _refused(reason: str) -> InvalidClient:
    return InvalidClient(REFUSED, detail=f"assertion: {reason}")


def _decoded(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, unproven. Raises InvalidClient."""
    if len(assertion) > MOST_CHARACTERS or not _COMPACT.fullmatch(assertion):
        raise _refused("too long, or not a signed JWT")
    header, claims, _ = assertion.split(".")
    return _object(header), _object(claims)


def _object(segment: str) -> dict[str, Any]:
    try:
        value = orjson.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (binascii.Error, ValueError):
        raise _refused("not JSON") from None
    if not isinstance(value, dict):
        raise _refused("not an object")
    return value


def _checked(header: Mapping[str, Any]) -> tuple[str, str | None]:
    """The algorithm and the key id."""
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _refused("alg")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= LONGEST_ID):
        raise _refused("kid")
    if "typ" in header and not (isinstance(kind, str) and kind.lower() in _TYPES):
        raise _refused("typ")
    if not _NOT_FOLLOWED.isdisjoint(header):
        raise _refused("header")
    return algorithm, kid


def _signed(assertion: str, key: client_keys.Key, algorithm: str) -> bool:
    try:
        jws.deserialize_compact(assertion, key, registry=_Registry(algorithms=[algorithm], strict_check_header=False))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
