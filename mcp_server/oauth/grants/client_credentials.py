"""The client credentials grant (OAuth 2.1 §4.2): a confidential client speaks for itself. No refresh token."""

from __future__ import annotations

from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import grants

from mcp_server.oauth import resources, scopes
from mcp_server.oauth.authorization_server import EndpointRequest
from mcp_server.oauth.client_authentication import PROVING_METHODS
from mcp_server.oauth.credentials import new_id
from mcp_server.oauth.grants.issuing import GrantParts


class ClientCredentialsGrant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = list(PROVING_METHODS)
    parts: GrantParts
    request: EndpointRequest

    def validate_requested_scope(self) -> None:
        self.request.scope = scopes.requested(self.request.parameters.get("scope"), otherwise=self.client.model.scope)
        resources.require_ours(self.request.parameters.resources, self.parts.issuer)

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        client_id: str = self.client.get_client_id()
        subject, grant_id = f"client:{client_id}", new_id()
        self.parts.audit.record("oauth", "token_issued", "success", client_id=client_id, user_id=subject,
                                grant_type=self.GRANT_TYPE, grant_id=grant_id, scope=self.request.scope)
        return 200, self.parts.token_response(client_id=client_id, subject=subject, scope=self.request.scope, grant_id=grant_id,
                                              refresh_token=None), []
