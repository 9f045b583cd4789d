"""What every grant does at its end: issue the tokens and tell the audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcp_server.audit import Audit
from mcp_server.clock import Clock
from mcp_server.oauth.credentials import Digests, new_secret
from mcp_server.oauth.models import AuthorizationCode, DeviceAuthorization, RefreshToken
from mcp_server.oauth.ports import AuthorizationCodeStore, DeviceAuthorizationStore, GrantStore, RefreshTokenStore, UserStore
from mcp_server.oauth.revocations import Revocations
from mcp_server.oauth.tokens import AccessTokens


@dataclass(frozen=True)
class GrantParts:
    """What the grants are built from. One object, because Authlib makes a grant anew for each request."""

    issuer: str
    codes: AuthorizationCodeStore
    devices: DeviceAuthorizationStore
    refresh_tokens: RefreshTokenStore
    grants: GrantStore
    users: UserStore
    revocations: Revocations
    access_tokens: AccessTokens
    digests: Digests
    audit: Audit
    clock: Clock
    code_lifetime: int
    refresh_lifetime: int
    refresh_grace: int

    def may_still_act(self, subject: str, client_id: str, grant_id: str) -> bool:
        """Whether the person is still there and nothing of this approval was revoked."""
        if not subject.startswith("client:"):
            user = self.users.find_by_id(subject)
            if user is None or user.disabled:
                return False
        return not self.revocations.any_revoked((grant_id, f"client:{client_id}", f"user:{subject}"))

    def revoke_grant(self, grant_id: str, *, last_refresh: float) -> None:
        """End all tokens of this approval, for as long as an access token of the last possible refresh would be accepted."""
        self.revocations.revoke((grant_id,), last_refresh + self.access_tokens.accepted_for)

    def add_refresh_token(self, approved: AuthorizationCode | DeviceAuthorization) -> str:
        """The first refresh token of what a person approved."""
        refresh_token = new_secret()
        self.refresh_tokens.add(self.digests.digest("refresh", refresh_token), RefreshToken(
            client_id=approved.client_id, subject=approved.subject, scope=approved.scope, resource=approved.resource, grant_id=approved.grant_id,
            expires_at=self.clock() + self.refresh_lifetime))
        return refresh_token

    def token_response(self, *, client_id: str, subject: str, scope: str, grant_id: str, refresh_token: str | None) -> dict[str, Any]:
        """The body of a token response (RFC 6749 §5.1)."""
        body: dict[str, Any] = {
            "access_token": self.access_tokens.issue(client_id=client_id, subject=subject, scope=scope, grant_id=grant_id),
            "token_type": "Bearer",
            "expires_in": self.access_tokens.lifetime,
            "scope": scope,
        }
        if refresh_token is not None:
            body["refresh_token"] = refresh_token
        return body
