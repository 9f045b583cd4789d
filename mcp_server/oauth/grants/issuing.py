"""What every grant does at its end: issue the tokens and tell the audit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from mcp_server.audit import Audit
from mcp_server.clock import Clock
from mcp_server.errors import InvalidGrant, StoreUnavailable
from mcp_server.oauth.credentials import Digests, new_secret
from mcp_server.oauth.models import AuthorizationCode, Client, DeviceAuthorization, Grant, RefreshToken
from mcp_server.oauth.ports import AuthorizationCodeStore, DeviceAuthorizationStore, GrantStore, RefreshTokenStore, UserStore
from mcp_server.oauth.revocations import Revocations
from mcp_server.oauth.tokens import AccessTokens

Approval: TypeAlias = AuthorizationCode | DeviceAuthorization
"""What a person said yes to and a client now redeems."""


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
    refresh_idle: int
    refresh_grace: int

    def in_force(self, grant_id: str) -> Grant | None:
        """The grant, if it has not ended, the person is still there and nothing of it was revoked."""
        grant = self.grants.find(grant_id, self.clock())
        return grant if grant is not None and self.may_act(grant) else None

    def may_act(self, grant: Grant) -> bool:
        """Whether its person is still there, and nothing of it was revoked."""
        if not grant.subject.startswith("client:"):
            user = self.users.find_by_id(grant.subject)
            if user is None or user.disabled:
                return False
        return not self.revocations.any_revoked((grant.grant_id, f"client:{grant.client_id}", f"user:{grant.subject}"))

    def redeem(self, approval: Approval, client: Client, grant_type: str, *, claim: Callable[[], bool], refused: str) -> dict[str, Any]:
        """The token response for an approval that is otherwise in order. Raises InvalidGrant with the text `refused`.

        It is used up before the tokens are made, so it can be lost to a failure in between: the right trade against being used twice.
        A replay ends the grant: client and proof were right, so the code was stolen or the client is broken (OAuth 2.1 §7.5.3).
        """
        grant = self.in_force(approval.grant_id)
        if grant is None:
            raise InvalidGrant(refused, detail="the person or the grant is gone")
        whose = {"client_id": client.client_id, "user_id": approval.subject, "grant_id": approval.grant_id}
        if approval.claimed or not claim():
            self.revoke_grant(approval.grant_id, last_refresh=self.clock() + self.refresh_lifetime)
            self.audit.record("security", f"{approval.kind}_replayed", "denied", **whose)
            raise InvalidGrant(refused, detail="replayed")
        grant = self.used(grant)
        refresh_token = self.add_refresh_token(grant) if "refresh_token" in client.grant_types else None
        self.audit.record("oauth", "token_issued", "success", **whose, grant_type=grant_type, scope=approval.scope)
        return self.token_response(grant, scope=approval.scope, refresh_token=refresh_token)

    def until(self, ends_at: float, now: float) -> float:
        """When a grant ends that was used now, and has to end at `ends_at`."""
        return min(ends_at, now + self.refresh_idle) if self.refresh_idle else ends_at

    def used(self, grant: Grant) -> Grant:
        """The grant with its idle time begun anew. What is issued for it must reach the client, also if this cannot be written down."""
        now = self.clock()
        moved = replace(grant, expires_at=self.until(grant.ends_at_last, now), ends_at=grant.ends_at_last, last_used_at=now)
        with suppress(StoreUnavailable):
            self.grants.add(moved)
        return moved

    def revoke_grant(self, grant_id: str, *, last_refresh: float) -> None:
        """End all tokens of this approval, for as long as an access token of the last possible refresh would be accepted."""
        self.revocations.revoke((grant_id,), last_refresh + self.access_tokens.accepted_for)

    def new_grant(
        self, grant_id: str, client: Client, *, subject: str, scope: str, now: float, redeemable_for: int, redirect_uri: str = "",
    ) -> Grant:
        """What a person approves now. Without refresh tokens it ends with the access token of the last moment in which it can be redeemed."""
        lasts = self.refresh_lifetime if "refresh_token" in client.grant_types else redeemable_for + self.access_tokens.accepted_for
        return Grant(
            grant_id=grant_id, client_id=client.client_id, subject=subject, scope=scope, resource=f"{self.issuer}/mcp",
            created_at=now, expires_at=self.until(now + lasts, now), ends_at=now + lasts, redirect_uri=redirect_uri)

    def add_refresh_token(self, grant: Grant) -> str:
        """The first refresh token of what a person approved."""
        refresh_token = new_secret()
        self.refresh_tokens.add(self.digests.digest("refresh", refresh_token), RefreshToken(
            client_id=grant.client_id, subject=grant.subject, scope=grant.scope, resource=grant.resource, grant_id=grant.grant_id,
            expires_at=grant.ends_at_last))
        return refresh_token

    def token_response(self, grant: Grant, *, scope: str, refresh_token: str | None) -> dict[str, Any]:
        """The body of a token response (RFC 6749 §5.1). No access token outlives its grant: what is not listed any more opens nothing."""
        lifetime = max(1, min(self.access_tokens.lifetime, int(grant.expires_at - self.clock())))
        body: dict[str, Any] = {
            "access_token": self.access_tokens.issue(
                client_id=grant.client_id, subject=grant.subject, scope=scope, grant_id=grant.grant_id, lifetime=lifetime),
            "token_type": "Bearer",
            "expires_in": lifetime,
            "scope": scope,
        }
        if refresh_token is not None:
            body["refresh_token"] = refresh_token
        return body
