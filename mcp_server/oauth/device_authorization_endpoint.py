"""The device authorization endpoint (RFC 8628 §3.1): a device without a browser gets a code to show and a code to ask with.

Authlib's endpoint knows no resource and no collision of codes, and serves a client that did not register for the grant,
so this one takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_server.audit import Audit
from mcp_server.clock import Clock
from mcp_server.errors import InvalidClient, OAuthError, UnauthorizedClient
from mcp_server.oauth import resources, scopes, user_codes
from mcp_server.oauth.authorization_server import AuthorizationServer, EndpointRequest
from mcp_server.oauth.client_authentication import METHODS, named_client
from mcp_server.oauth.credentials import Digests, new_secret
from mcp_server.oauth.models import DEVICE_CODE, Client, DeviceAuthorization
from mcp_server.oauth.parameters import Parameters
from mcp_server.oauth.ports import DeviceAuthorizationStore

LIFETIME = 600
"""Seconds that both codes are good: time to fetch a telephone, and short for who sends codes to others (§5.4)."""
REMEMBERED = 600
"""Seconds after that in which a poll is told that the code has expired."""
INTERVAL = 5
"""Seconds between two polls."""


class DeviceAuthorizationEndpoint:
    def __init__(
        self, server: AuthorizationServer, devices: DeviceAuthorizationStore, *, issuer: str, digests: Digests, audit: Audit, clock: Clock,
    ) -> None:
        self._server = server
        self._devices = devices
        self._issuer = issuer
        self._digests = digests
        self._audit = audit
        self._clock = clock

    def issue(self, parameters: Parameters, authorization: str | None, requested_from: str) -> Mapping[str, Any]:
        """The device authorization response (§3.2). `requested_from` is the address to show to the person. Raises an OAuthError."""
        try:
            client = self._require_client(parameters, authorization)
            scope = scopes.requested(parameters.get("scope"), otherwise=client.scope)
            resources.require_ours(parameters.resources, self._issuer)
        except OAuthError as error:
            action = "authentication_failed" if isinstance(error, InvalidClient) else "device_authorization_refused"
            self._audit.record("oauth", action, "failure", client_id=named_client(parameters, authorization), error=error.error,
                               reason=error.detail or error.message)
            raise
        device_code, user_code = self._store(client, scope, requested_from)
        self._audit.record("oauth", "device_authorization_issued", "success", client_id=client.client_id, scope=scope)
        page = f"{self._issuer}/device"
        return {
            "device_code": device_code, "user_code": user_codes.shown(user_code), "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={user_codes.shown(user_code)}", "expires_in": LIFETIME, "interval": INTERVAL}

    def _require_client(self, parameters: Parameters, authorization: str | None) -> Client:
        known = self._server.authenticate_client(EndpointRequest("POST", parameters, authorization), METHODS, "device_authorization")
        if not known.check_grant_type(DEVICE_CODE):
            raise UnauthorizedClient(f"This client is not registered for the grant type {DEVICE_CODE}.")
        return known.model

    def _store(self, client: Client, scope: str, requested_from: str) -> tuple[str, str]:
        """Both codes. A user code is short, so now and then one is taken."""
        now = self._clock()
        device = DeviceAuthorization(
            client_id=client.client_id, scope=scope, resource=f"{self._issuer}/mcp", requested_from=requested_from, requested_at=now,
            codes_expire_at=now + LIFETIME, expires_at=now + LIFETIME + REMEMBERED, interval=INTERVAL)
        while True:
            device_code, user_code = new_secret(), user_codes.new_user_code()
            if self._devices.add(self._digests.digest("device", device_code), self._digests.digest("user-code", user_code), device, now):
                return device_code, user_code
