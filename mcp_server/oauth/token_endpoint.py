"""The token endpoint (RFC 6749 §3.2): authenticate the client, pick the grant, run it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mcp_server.audit import Audit
from mcp_server.clock import Clock
from mcp_server.errors import AuthorizationPending, InvalidClient, OAuthError, StoreUnavailable, UnsupportedGrantType
from mcp_server.oauth.authorization_server import AuthorizationServer, EndpointRequest
from mcp_server.oauth.client_authentication import named_client
from mcp_server.oauth.models import Client
from mcp_server.oauth.parameters import Parameters
from mcp_server.oauth.ports import ClientStore

TOUCHED_EVERY = 3600
"""Seconds: how exact `Client.last_used_at` is."""


class TokenEndpoint:
    def __init__(self, server: AuthorizationServer, clients: ClientStore, audit: Audit, clock: Clock) -> None:
        self._server = server
        self._clients = clients
        self._audit = audit
        self._clock = clock

    def exchange(self, parameters: Parameters, authorization: str | None) -> Mapping[str, Any]:
        """The token response. Raises an OAuthError."""
        grant_type = parameters.required("grant_type")
        if grant_type not in self._server.grant_types:
            raise UnsupportedGrantType(f"This server supports: {', '.join(self._server.grant_types)}.")
        request = EndpointRequest("POST", parameters, authorization)
        try:
            response = self._server.create_token_response(request)
        except AuthorizationPending:  # a device asks every five seconds, and nothing happened
            raise
        except OAuthError as error:
            action = "authentication_failed" if isinstance(error, InvalidClient) else "token_refused"
            self._audit.record("oauth", action, "failure", client_id=named_client(parameters, authorization), grant_type=grant_type,
                               error=error.error, reason=error.detail)
            raise
        self._remember_use(request.client.model)
        body: Mapping[str, Any] = response.body
        return body

    def _remember_use(self, client: Client) -> None:
        """At most one write per client and hour: what is not used for weeks may be swept."""
        if client.from_document:
            return
        now = self._clock()
        if client.last_used_at is None or now - client.last_used_at >= TOUCHED_EVERY:
            with suppress(StoreUnavailable):  # the tokens are issued: they must reach the client
                self._clients.touch(client.client_id, now)
