"""A client reads, changes and ends its own registration (RFC 7592), by the token that its registration gave it.

This goes on when DCR_MODE is off: that closes the door to new clients, and those inside must still be able to leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mcp_server.audit import Audit
from mcp_server.clock import Clock
from mcp_server.errors import GatewayError, InvalidClientMetadata, InvalidRegistrationAccessToken
from mcp_server.oauth.credentials import Digests
from mcp_server.oauth.models import Client
from mcp_server.oauth.ports import ClientStore
from mcp_server.oauth.registration_endpoint import RegistrationEndpoint, without_nulls
from mcp_server.oauth.revocations import Revocations

REFUSED = "The registration access token is not valid for this client."


class ClientConfigurationEndpoint:
    """`tokens_last` is for how many seconds, at most, a token that was issued now is accepted."""

    def __init__(
        self, registration: RegistrationEndpoint, clients: ClientStore, *, digests: Digests, revocations: Revocations, tokens_last: int,
        audit: Audit, clock: Clock,
    ) -> None:
        self._registration = registration
        self._clients = clients
        self._digests = digests
        self._revocations = revocations
        self._tokens_last = tokens_last
        self._audit = audit
        self._clock = clock

    def read(self, client_id: str, authorization: str | None) -> Mapping[str, Any]:
        """What is registered. Never the client secret: it is not stored readable, and RFC 7592 §2.1 lets it be left out."""
        client, token = self._authenticate(client_id, authorization, "client_read")
        self._audit.record("oauth", "client_read", "success", client_id=client_id)
        return self._registration.information(client, None, token)

    def replace(self, client_id: str, authorization: str | None, body: Any) -> Mapping[str, Any]:
        """The metadata of the body in place of what was registered, held to the same rules. What is left out falls back to its default."""
        client, token = self._authenticate(client_id, authorization, "client_replaced")
        try:
            changed, secret = self._changed(client, body)
            if not self._clients.replace(changed):
                raise InvalidRegistrationAccessToken(REFUSED, detail="removed meanwhile")
        except GatewayError as error:
            self._audit.record("oauth", "client_replaced", "failure", client_id=client_id, reason=error.detail or error.message)
            raise
        self._audit.record("oauth", "client_replaced", "success", client_id=client_id, client_name=changed.client_name,
                           redirect_uris=list(changed.redirect_uris), former_redirect_uris=list(client.redirect_uris))
        return self._registration.information(changed, secret, token)

    def remove(self, client_id: str, authorization: str | None) -> None:
        """Revoked first: a client that is gone must not leave tokens that work."""
        client, _ = self._authenticate(client_id, authorization, "client_removed")
        self._revocations.revoke((f"client:{client_id}",), self._clock() + self._tokens_last)
        self._clients.remove(client_id)
        self._audit.record("oauth", "client_removed", "success", client_id=client_id, client_name=client.client_name)

    def _authenticate(self, client_id: str, authorization: str | None, action: str) -> tuple[Client, str]:
        """The client and its token. An unknown client, one without such a token and a wrong token are refused alike."""
        token = _bearer(authorization)
        client = self._clients.find(client_id)
        known = client.registration_access_token_digest if client else None
        right = self._digests.matches("registration", token or "", (known or "",))  # also for nobody
        if client is None or known is None or token is None or not right:
            reason = "none given" if token is None else "wrong token" if client else "unknown client"
            self._audit.record("oauth", action, "denied", client_id=client_id, reason=reason)
            raise InvalidRegistrationAccessToken(REFUSED, detail=reason)
        return client, token

    def _changed(self, client: Client, body: Any) -> tuple[Client, str | None]:
        """As a new registration would be read. The client keeps its id and its secret; a secret is made when it needs a first one."""
        if not isinstance(body, dict):
            raise InvalidClientMetadata("The body must be a JSON object of client metadata.")
        if body.get("client_id") != client.client_id:
            raise InvalidClientMetadata("client_id is missing, or is not the one in the URL.")
        sent = body.get("client_secret")
        if sent is not None and not (isinstance(sent, str) and self._digests.matches("client", sent, client.client_secret_digests or ("",))):
            raise InvalidClientMetadata("client_secret is not the secret of this client. It cannot be chosen: leave it out.")
        metadata = {"token_endpoint_auth_method": client.token_endpoint_auth_method, **without_nulls(body)}
        fresh, secret = self._registration.client_from(metadata, client.instance)
        digests = fresh.client_secret_digests
        if secret is not None and client.client_secret_digests:
            digests, secret = client.client_secret_digests, None
        changed = replace(
            fresh, client_id=client.client_id, created_at=client.created_at, client_secret_digests=digests, origin=client.origin,
            registration_access_token_digest=client.registration_access_token_digest, registered_with=client.registered_with,
            instance=client.instance, last_used_at=client.last_used_at)
        return replace(changed, pkce_required=client.pkce_required or not changed.confidential), secret


def _bearer(authorization: str | None) -> str | None:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip(" ") or None if scheme.lower() == "bearer" else None
