"""private_key_jwt: a client proves itself with a JWT that it signed (RFC 7523 §2.2 and §3).

Whatever is wrong, the client reads one text; the reason is for the audit. The order is: what is cheap, then the keys, which may
be far away, then the signature, and last the `jti`, so that nobody but the client can use one up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from mcp_server.clock import Clock
from mcp_server.errors import InvalidClient
from mcp_server.oauth import client_keys, signed_jwt
from mcp_server.oauth.models import LONGEST_CLIENT_ID, Client
from mcp_server.oauth.ports import JwksSource, JwksUnavailable, SingleUseStore
from mcp_server.oauth.signed_jwt import LEEWAY, JwtRefused, UnverifiedJwt

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REFUSED = "The client could not be authenticated: its assertion is not valid. Check its key, audience, lifetime and clock, and send each only once."
LIFETIME = 600
"""How far ahead `exp` may be, and how long ago `iat`."""
_TYPES = ("jwt", "client-authentication+jwt")


def claimed_client(assertion: str) -> str | None:
    """Whom the assertion says it comes from, in characters that a client id may have. Nothing is proven."""
    try:
        subject = signed_jwt.read(assertion).claims.get("sub")
    except JwtRefused:
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
        try:
            jwt = signed_jwt.read(assertion)
            algorithm, kid = jwt.checked(_TYPES)
            self._require(jwt, client.client_id)
            jwt.require_signed(self._candidates(client, algorithm, kid), algorithm)
            self._claim(jwt.claims, client.client_id)
        except JwtRefused as error:
            raise _refused(str(error)) from error
        except JwksUnavailable as error:
            raise _refused(f"jwks_uri: {error}") from error

    def _require(self, jwt: UnverifiedJwt, client_id: str) -> None:
        claims, audience = jwt.claims, jwt.claims.get("aud")
        if not claims.get("iss") == claims.get("sub") == client_id:
            raise JwtRefused("iss or sub")
        if self._audiences.isdisjoint(name for name in (audience if isinstance(audience, list) else [audience]) if isinstance(name, str)):
            raise JwtRefused("aud")
        if not signed_jwt.is_id(claims.get("jti")):
            raise JwtRefused("jti")
        jwt.require_times(self._clock(), longest=LIFETIME, needed=("exp",))

    def _candidates(self, client: Client, algorithm: str, kid: str | None) -> Iterable[client_keys.Key]:
        """The registered keys, or those published."""
        if (registered := client.metadata.get("jwks")) is not None:
            return client_keys.choose(registered, algorithm, kid)
        uri = client.metadata.get("jwks_uri")
        return () if uri is None else signed_jwt.published_keys(self._published, uri, algorithm, kid, client.client_id)

    def _claim(self, claims: Mapping[str, Any], client_id: str) -> None:
        jti = hashlib.sha256(orjson.dumps([client_id, claims["jti"]])).hexdigest()
        if not self._single_use.claim(f"assertion:{jti}", claims["exp"] + LEEWAY, self._clock()):
            raise JwtRefused("jti was used")


def _refused(reason: str) -> InvalidClient:
    return InvalidClient(REFUSED, detail=f"assertion: {reason}")
