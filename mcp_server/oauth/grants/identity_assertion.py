"""The identity assertion grant (ID-JAG): an enterprise's provider has decided that this client may act for this person. No refresh token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import BaseGrant, TokenEndpointMixin

from mcp_server.errors import InvalidGrant, InvalidScope, SignInFailed, UnauthorizedClient
from mcp_server.oauth import resources, scopes
from mcp_server.oauth.authorization_server import EndpointRequest
from mcp_server.oauth.client_authentication import PROVING_METHODS
from mcp_server.oauth.credentials import new_id
from mcp_server.oauth.grants.issuing import GrantParts
from mcp_server.oauth.identity.accounts import Accounts
from mcp_server.oauth.identity.identity_assertions import IdentityAssertions
from mcp_server.oauth.models import SCOPES, Client, Grant
from mcp_server.oauth.signed_jwt import JwtRefused

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PROFILE = "urn:ietf:params:oauth:grant-profile:id-jag"
REFUSED = "The identity assertion is not valid here. Ask the identity provider for a new one: for this server, this resource and this client."


class IdentityAssertionGrant(BaseGrant, TokenEndpointMixin):
    """Only for clients that prove who they are: the assertion names its client, and nobody else may bring it."""

    GRANT_TYPE = GRANT_TYPE
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = list(PROVING_METHODS)
    parts: GrantParts
    assertions: IdentityAssertions
    accounts: Accounts
    request: EndpointRequest

    def validate_token_request(self) -> None:
        self.request.client = self.authenticate_token_endpoint_client()
        if not self.request.client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClient("This client is not registered for the identity assertion grant. The operator of this server can change that.")

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        parts, client = self.parts, self.request.client.model
        assertion = self.request.parameters.required("assertion")
        resources.require_ours(self.request.parameters.resources, parts.issuer)
        asked = scopes.requested(self.request.parameters.get("scope"), otherwise=client.scope)
        try:
            claims = self.assertions.verify(assertion, client.client_id)
            self.accounts.allowed.require(claims)
            scope = _narrowed(asked, claims)
            self.assertions.use_up(claims)
            subject = self.accounts.of(claims["iss"], claims["sub"], claims).user_id
        except JwtRefused as error:
            raise InvalidGrant(REFUSED, detail=f"assertion: {error}") from error
        except SignInFailed as error:
            raise InvalidGrant("The person may not use this server.", detail=f"assertion: {error.detail}") from error
        grant = self._grant(client, subject, scope)
        if not parts.may_act(grant):
            raise InvalidGrant("The person may not use this server.", detail="the person or the client is revoked or disabled")
        parts.grants.add(grant)
        parts.audit.record("oauth", "token_issued", "success", client_id=client.client_id, user_id=subject, grant_type=self.GRANT_TYPE,
                           grant_id=grant.grant_id, scope=scope, provider=claims["iss"])
        return 200, parts.token_response(grant, scope=scope, refresh_token=None), []

    def _grant(self, client: Client, subject: str, scope: str) -> Grant:
        """Kept as long as its token is accepted, so that it can be seen and revoked."""
        now = self.parts.clock()
        return Grant(
            grant_id=new_id(), client_id=client.client_id, subject=subject, scope=scope, resource=f"{self.parts.issuer}/mcp", created_at=now,
            expires_at=now + self.parts.access_tokens.accepted_for, last_used_at=now)


def _narrowed(asked: str, claims: Mapping[str, Any]) -> str:
    """What was asked for and asserted. An assertion that says nothing of scopes does not narrow. Raises JwtRefused or InvalidScope."""
    asserted = claims.get("scope", " ".join(SCOPES))
    if not isinstance(asserted, str):
        raise JwtRefused("scope")
    scope = scopes.in_order(set(asked.split()) & set(asserted.split()))
    if not scope:
        raise InvalidScope("The identity provider asserts none of the scopes that were asked for.")
    return scope
