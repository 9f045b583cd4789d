"""ID tokens (OpenID Connect Core §3.1.3.7): what a provider signed about the person who just signed in."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from mcp_server.clock import Clock
from mcp_server.oauth import signed_jwt
from mcp_server.oauth.identity.provider import ProviderMetadata, unusable
from mcp_server.oauth.ports import JwksSource, JwksUnavailable
from mcp_server.oauth.signed_jwt import LEEWAY, JwtRefused

MOST_CHARACTERS = 64 * 1024  # some list hundreds of groups
LONGEST_SUBJECT = 255
LIFETIME = 86_400
"""How far ahead `exp` may be, and how long ago `iat`: it was made for this very sign-in, but some say ten hours."""
TYPES = ("jwt",)


class IdTokens:
    def __init__(self, client_id: str, published: JwksSource, clock: Clock) -> None:
        self._client_id = client_id
        self._published = published
        self._clock = clock

    def verify(self, id_token: Any, provider: ProviderMetadata, *, nonce: str, signed_in_since: float | None) -> Mapping[str, Any]:
        """The claims. `signed_in_since`: the person must have given proof at the provider since then. Raises JwtRefused."""
        if not isinstance(id_token, str):
            raise JwtRefused("absent")
        jwt = signed_jwt.read(id_token, MOST_CHARACTERS)
        algorithm, kid = jwt.checked(TYPES)
        jwt.require_times(self._clock(), longest=LIFETIME)
        self._require(jwt.claims, provider.issuer, nonce)
        if signed_in_since is not None:
            _require_auth_time(jwt.claims, signed_in_since)
        try:
            jwt.require_signed(signed_jwt.published_keys(self._published, provider.jwks_uri, algorithm, kid, provider.issuer), algorithm)
        except JwksUnavailable as error:
            raise unusable(f"jwks_uri: {error}") from error
        return jwt.claims

    def _require(self, claims: Mapping[str, Any], issuer: str, nonce: str) -> None:
        audience, given = claims.get("aud"), claims.get("nonce")
        if claims.get("iss") != issuer:
            raise JwtRefused("iss")
        require_subject(claims)
        one_of_several = isinstance(audience, list) and self._client_id in audience and "azp" in claims
        if audience not in (self._client_id, [self._client_id]) and not one_of_several:
            raise JwtRefused("aud")
        if claims.get("azp", self._client_id) != self._client_id:
            raise JwtRefused("azp")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
            raise JwtRefused("nonce")


def require_subject(claims: Mapping[str, Any]) -> str:
    """Raises JwtRefused."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise JwtRefused("sub")
    return subject


def _require_auth_time(claims: Mapping[str, Any], since: float) -> None:
    auth_time = claims.get("auth_time")
    if not signed_jwt.is_time(auth_time) or auth_time < since - LEEWAY:
        raise JwtRefused("auth_time: not signed in anew")
