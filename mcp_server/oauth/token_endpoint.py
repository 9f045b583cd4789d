"""The token endpoint (RFC 6749 §3.2): authenticate the client, pick the grant, run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_server.audit import Audit
from mcp_server.errors import InvalidClient, OAuthError, UnsupportedGrantType
from mcp_server.oauth.authorization_server import AuthorizationServer, EndpointRequest
from mcp_server.oauth.client_authentication import named_client
from mcp_server.oauth.parameters import Parameters


class TokenEndpoint:
    def __init__(self, server: AuthorizationServer, audit: Audit) -> None:
        self._server = server
        self._audit = audit

    def exchange(self, parameters: Parameters, authorization: str | None) -> Mapping[str, Any]:
        """The token response. Raises an OAuthError."""
        grant_type = parameters.required("grant_type")
        if grant_type not in self._server.grant_types:
            raise UnsupportedGrantType(f"This server supports: {', '.join(self._server.grant_types)}.")
        try:
            response = self._server.create_token_response(EndpointRequest("POST", parameters, authorization))
        except OAuthError as error:
            action = "authentication_failed" if isinstance(error, InvalidClient) else "token_refused"
            self._audit.record("oauth", action, "failure", client_id=named_client(parameters, authorization), grant_type=grant_type,
                               error=error.error, reason=error.detail)
            raise
        body: Mapping[str, Any] = response.body
        return body
