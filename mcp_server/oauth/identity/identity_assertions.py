"""Identity assertions (ID-JAG, draft-ietf-oauth-identity-assertion-authz-grant): an enterprise's provider says who asks through which client.

The order is that of client assertions: what is cheap, then the keys, then the signature, and last the `jti`, so that nobody but
the client it was made for can use one up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from mcp_server.clock import Clock
from mcp_server.errors import InvalidTarget
from mcp_server.oauth import resources, signed_jwt
from mcp_server.oauth.identity.id_tokens import require_subject
from mcp_server.oauth.identity.provider import Provider, unusable
from mcp_server.oauth.ports import JwksSource, JwksUnavailable, SingleUseStore
from mcp_server.oauth.signed_jwt import LEEWAY, JwtRefused

TYPES = ("oauth-id-jag+jwt",)
LIFETIME = 3600
"""How far ahead `exp` may be, and how long ago `iat`."""


class IdentityAssertions:
    """Verifies those of `providers` that were made for us."""

    def __init__(self, issuer: str, providers: Iterable[Provider], *, single_use: SingleUseStore, published: JwksSource, clock: Clock) -> None:
        self._issuer = issuer
        self._providers = {provider.issuer: provider for provider in providers}
        self._single_use = single_use
        self._published = published
        self._clock = clock

    def verify(self, assertion: str, client_id: str) -> Mapping[str, Any]:
        """The claims, proven; it can still be used once. Raises JwtRefused, or ProviderUnavailable when the keys cannot be had."""
        jwt = signed_jwt.read(assertion)
        algorithm, kid = jwt.checked(TYPES, typed=True)
        jwt.require_times(self._clock(), longest=LIFETIME)
        provider = self._require(jwt.claims, client_id)
        try:
            keys = signed_jwt.published_keys(self._published, provider.metadata().jwks_uri, algorithm, kid, f"{provider.issuer} {client_id}")
            jwt.require_signed(keys, algorithm)
        except JwksUnavailable as error:
            raise unusable(f"jwks_uri: {error}") from error
        return jwt.claims

    def use_up(self, claims: Mapping[str, Any]) -> None:
        """Raises JwtRefused when it was used before."""
        jti = hashlib.sha256(orjson.dumps([claims["iss"], claims["jti"]])).hexdigest()
        if not self._single_use.claim(f"id-jag:{jti}", claims["exp"] + LEEWAY, self._clock()):
            raise JwtRefused("jti was used")

    def _require(self, claims: Mapping[str, Any], client_id: str) -> Provider:
        """Whose it is. Raises JwtRefused."""
        issuer = claims.get("iss")
        provider = self._providers.get(issuer) if isinstance(issuer, str) else None
        if provider is None:
            raise JwtRefused("iss")
        require_subject(claims)
        if claims.get("aud") not in (self._issuer, [self._issuer]):
            raise JwtRefused("aud")
        if claims.get("client_id") != client_id:
            raise JwtRefused("client_id")
        if not signed_jwt.is_id(claims.get("jti")):
            raise JwtRefused("jti")
        self._require_resource(claims.get("resource"))
        return provider

    def _require_resource(self, resource: Any) -> None:
        named = resource if isinstance(resource, list) else [resource]
        if not named or not all(isinstance(name, str) for name in named):
            raise JwtRefused("resource")
        try:
            resources.require_ours(named, self._issuer)
        except InvalidTarget as error:
            raise JwtRefused("resource") from error
