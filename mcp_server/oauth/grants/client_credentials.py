"""The client credentials grant (OAuth 2.1 §4.2): a confidential client speaks for itself. No refresh token."""

from __future__ import annotations

from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import grants

from mcp_server.oauth import resources, scopes
from mcp_server.oauth.authorization_server import EndpointRequest
from mcp_server.oauth.client_authentication import PROVING_METHODS
from mcp_server.oauth.credentials import new_id
from mcp_server.oauth.grants.issuing import GrantParts
from mcp_server.oauth.models import Grant


class ClientCredentialsGrant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = list(PROVING_METHODS)
    parts: GrantParts
    request: EndpointRequest

    def validate_requested_scope(self) -> None:
        self.request.scope = scopes.requested(self.request.parameters.get("scope"), otherwise=self.client.model.scope)
        resources.require_ours(self.request.parameters.resources, self.parts.issuer)

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """The grant lasts as long as its one token is accepted. It is stored, so that it is listed and can be ended as others are."""
        parts, client_id, now = self.parts, self.client.get_client_id(), self.parts.clock()
        grant = Grant(
            grant_id=new_id(), client_id=client_id, subject=f"client:{client_id}", scope=self.request.scope, resource=f"{parts.issuer}/mcp",
            created_at=now, expires_at=now + parts.access_tokens.accepted_for, last_used_at=now)
        parts.grants.add(grant)
        parts.audit.record("oauth", "token_issued", "success", client_id=client_id, user_id=grant.subject,
                           grant_type=self.GRANT_TYPE, grant_id=grant.grant_id, scope=grant.scope)
        return 200, parts.token_response(grant, scope=grant.scope, refresh_token=None), []
