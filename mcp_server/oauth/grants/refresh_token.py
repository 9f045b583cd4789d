"""The refresh token grant (OAuth 2.1 §4.3): every use rotates the token, and a copy that is used ends the grant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import grants

from mcp_server.errors import InvalidGrant
from mcp_server.oauth import resources, scopes
from mcp_server.oauth.authorization_server import EndpointRequest, KnownClient
from mcp_server.oauth.client_authentication import METHODS
from mcp_server.oauth.credentials import new_secret
from mcp_server.oauth.grants.issuing import GrantParts
from mcp_server.oauth.models import RefreshToken, Rotation

REFUSED = "The refresh token is not valid. A person must approve again."


class StoredRefreshToken:
    """A refresh token as Authlib asks about it."""

    def __init__(self, digest: str, token: RefreshToken) -> None:
        self.digest = digest
        self.model = token

    def check_client(self, client: KnownClient) -> bool:
        return client.get_client_id() == self.model.client_id

    def get_scope(self) -> str:
        return self.model.scope


class RefreshTokenGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = list(METHODS)
    parts: GrantParts
    request: EndpointRequest

    def authenticate_refresh_token(self, refresh_token: str) -> StoredRefreshToken:
        for digest in self.parts.digests.candidates("refresh", refresh_token):
            found = self.parts.refresh_tokens.find(digest, self.parts.clock())
            if found is not None and found.client_id == self.request.client.get_client_id():
                return StoredRefreshToken(digest, found)
        raise InvalidGrant(REFUSED, detail="unknown, expired or of another client")

    def _validate_token_scope(self, token: StoredRefreshToken) -> None:
        scopes.narrowed(self.request.parameters.get("scope"), token.model.scope)
        resources.require_ours(self.request.parameters.resources, self.parts.issuer)

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        stored: StoredRefreshToken = self.request.refresh_token
        parts, token = self.parts, stored.model
        grant = parts.in_force(token.grant_id)
        if grant is None:
            raise InvalidGrant(REFUSED, detail="the grant has ended, by revocation, by its time or for not being used, or the person is gone")
        successor = self._rotate(stored)
        grant = parts.used(grant)
        scope = scopes.narrowed(self.request.parameters.get("scope"), token.scope)
        parts.audit.record("oauth", "token_refreshed", "success", client_id=token.client_id, user_id=token.subject,
                           grant_id=token.grant_id, scope=scope)
        return 200, parts.token_response(grant, scope=scope, refresh_token=successor), []

    def _rotate(self, stored: StoredRefreshToken) -> str:
        """The successor, of the same scope and with the same end.

        A reuse revokes the grant: the client proved itself, so either it or a thief holds an old copy (OAuth 2.1 §4.3.1).
        """
        parts, token = self.parts, stored.model
        successor = new_secret()
        became = parts.refresh_tokens.rotate(
            stored.digest, parts.digests.digest("refresh", successor), replace(token, rotated_at=None, dead=False),
            now=parts.clock(), grace=parts.refresh_grace)
        if became is Rotation.REUSED:
            parts.revoke_grant(token.grant_id, last_refresh=token.expires_at)
            parts.audit.record("security", "refresh_token_reused", "denied", client_id=token.client_id, user_id=token.subject,
                               grant_id=token.grant_id)
            raise InvalidGrant(REFUSED, detail="reused")
        if became is Rotation.UNKNOWN:
            raise InvalidGrant(REFUSED, detail="expired meanwhile")
        return successor
