"""The credential of a request to `/mcp` becomes a Principal, or a challenge (RFC 6750 §3)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any

from mcp_server.clock import Clock
from mcp_server.errors import BearerError, InvalidToken
from mcp_server.oauth.models import SCOPES
from mcp_server.oauth.tokens import AccessTokens
from mcp_server.principal import Principal

API_KEY_HEADERS = ("HTTP_X_API_KEY", "HTTP_API_KEY", "HTTP_APIKEY")
"""ServiceNow lets an admin name the header; these are the common ones."""

REFUSED = "The access token is not valid or has expired. Refresh it, or authorize again."


class Bearer:
    def __init__(self, access_tokens: AccessTokens, api_key: str | None, clock: Clock) -> None:
        self._access_tokens = access_tokens
        self._api_key = api_key.encode() if api_key else None
        self._clock = clock

    def principal(self, environ: Mapping[str, Any]) -> Principal | None:
        """The verified caller; None without any credential. Raises InvalidToken. Whether it was revoked is asked next."""
        authorization: str | None = environ.get("HTTP_AUTHORIZATION")
        if authorization is None:
            key = next((environ[name] for name in API_KEY_HEADERS if name in environ), None)
            return None if key is None else self._from_api_key(key)
        scheme, _, credential = authorization.partition(" ")
        folded = scheme.lower()
        if folded == "bearer":
            if credential.count(".") == 2:  # noqa: PLR2004 a JWT has three parts
                return self._access_tokens.verify(credential)
            return self._from_api_key(credential)
        if folded == "apikey":
            return self._from_api_key(credential)
        if folded == "basic":
            return self._from_api_key(_password_of(credential))
        return self._from_api_key(authorization)

    def _from_api_key(self, presented: str) -> Principal:
        if self._api_key is None or not hmac.compare_digest(presented.encode("utf-8", "surrogateescape"), self._api_key):
            raise InvalidToken(REFUSED, detail="neither a token nor the API key")
        return Principal("api-key", "client:api-key", frozenset(SCOPES), self._clock() + 60, ("client:api-key",))


def _password_of(encoded: str) -> str:
    try:
        _, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidToken(REFUSED, detail="Basic cannot be read") from None
    return password


def challenge(error: BearerError, issuer: str) -> str:
    """The WWW-Authenticate header: what went wrong, where the metadata is, and every scope that the caller will need."""
    parts = [f'resource_metadata="{issuer}/.well-known/oauth-protected-resource/mcp"']
    if error.error is not None:
        parts.insert(0, f'error="{error.error}", error_description="{error.message}"')
    parts.append(f'scope="{" ".join(scope for scope in SCOPES if scope in (error.scopes or SCOPES))}"')
    return f"Bearer {', '.join(parts)}"
