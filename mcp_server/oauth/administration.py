"""What an operator may do to clients, people, grants and initial access tokens: the same from the command line and from the console, and audited.

`by` says who it was: the account of the machine, or the person signed in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mcp_server.audit import Audit
from mcp_server.clock import Clock, in_words, moment
from mcp_server.oauth import client_id_urls
from mcp_server.oauth.credentials import Digests, new_id, new_secret
from mcp_server.oauth.grants_in_force import GrantsInForce
from mcp_server.oauth.models import Client, Grant, InitialAccessToken, User
from mcp_server.oauth.ports import ClientStore, InitialAccessTokenStore, UserStore
from mcp_server.oauth.revocations import Revocations
from mcp_server.oauth.token_endpoint import TOUCHED_EVERY

By = Mapping[str, str]
_AUTOMATIC = re.compile(r"AutoGen-[0-9]+-OAuthProvider")


class Administration:
    """`tokens_last`: seconds after which nothing is valid any more that was issued before."""

    def __init__(
        self, *, clients: ClientStore, users: UserStore, initial_access_tokens: InitialAccessTokenStore, grants: GrantsInForce,
        revocations: Revocations, digests: Digests, audit: Audit, clock: Clock, tokens_last: int,
    ) -> None:
        self._clients = clients
        self._users = users
        self._tokens = initial_access_tokens
        self._grants = grants
        self._revocations = revocations
        self._digests = digests
        self._audit = audit
        self._clock = clock
        self._tokens_last = tokens_last

    def end_of_all_tokens(self) -> float:
        return self._clock() + self._tokens_last

    # Clients

    def remove_client(self, client: Client, by: By) -> None:
        """Revoked first: a client that is gone must not leave tokens that work."""
        self._revocations.revoke((f"client:{client.client_id}",), until=self.end_of_all_tokens())
        self._clients.remove(client.client_id)
        self._record("client_revoked", by, client_id=client.client_id, client_name=client.client_name)

    def shut_out(self, client_id: str, by: By) -> float:
        """Of a client that a URL names there is nothing to remove. Returns until when it is refused. Raises InvalidClient for a bad URL."""
        client_id_urls.require_good(client_id)
        until = self.end_of_all_tokens()
        self._revocations.revoke((f"client:{client_id}",), until=until)
        self._record("client_revoked", by, client_id=client_id)
        return until

    def rotate_secret(self, client: Client, by: By, *, keep_old: bool) -> str | None:
        """The new secret, to be shown once; None when the client is gone. Its tokens stay valid."""
        secret = new_secret()
        former = client.client_secret_digests[:1] if keep_old else ()
        if not self._clients.replace(replace(client, client_secret_digests=(self._digests.digest("client", secret), *former))):
            return None
        self._record("client_secret_rotated", by, client_id=client.client_id, kept_old=keep_old)
        return secret

    def stale_clients(self, older_than: int) -> list[Client]:
        """Those that registered themselves, have no approval in force, and were neither made nor used for so many seconds.

        ServiceNow registers anew whenever somebody connects, and never takes the old one back.
        """
        since, in_use = self._unused_since(older_than), {grant.client_id for grant in self._grants.all()}
        return [client for client in self._clients.all()
                if _registered_itself(client) and client.client_id not in in_use and max(client.created_at, client.last_used_at or 0.0) < since]

    def sweep(self, client: Client, older_than: int, by: By) -> bool:
        """Removed first, and only if it is still unused: a revocation cannot be taken back from a client that is used again."""
        if not self._clients.remove_unused(client.client_id, self._unused_since(older_than)):
            return False
        self._revocations.revoke((f"client:{client.client_id}",), until=self.end_of_all_tokens())
        self._record("client_swept", by, client_id=client.client_id, client_name=client.client_name, last_used_at=moment(client.last_used_at),
                     older_than=in_words(older_than))
        return True

    def _unused_since(self, older_than: int) -> float:
        """`last_used_at` may be an hour behind the last use."""
        return self._clock() - older_than - TOUCHED_EVERY

    # Grants

    def end_grants(self, grants: Sequence[Grant], by: By, **in_common: str) -> None:
        """Revoke them: a record for all, which says what they have in common, and one for each."""
        self._grants.end(grants)
        self._record("grants_revoked", by, count=len(grants), **in_common)
        for grant in grants:
            self._record("grant_revoked", by, grant_id=grant.grant_id, client_id=grant.client_id, user_id=grant.subject)

    # Initial access tokens

    def mint(self, by: By, *, name: str, expires_in: int, count: int | None, instance: str | None) -> tuple[InitialAccessToken, str]:
        """The token, and its secret, to be shown once. `expires_in` is in seconds; `instance` an origin."""
        secret, now = new_secret(), float(int(self._clock()))
        token = InitialAccessToken(
            token_id=new_id(), name=name, token_digest=self._digests.digest("initial", secret), created_at=now, expires_at=now + expires_in,
            uses_left=count, instance=instance)
        self._tokens.add(token)
        self._record("registration_token_minted", by, token_id=token.token_id, name=name, expires_at=moment(token.expires_at), count=count,
                     instance=instance)
        return token, secret

    def end_initial_access_token(self, token_id: str, by: By) -> InitialAccessToken | None:
        """The token that was ended; None when there is none. The clients that it registered stay."""
        token = next((token for token in self._tokens.all() if token.token_id == token_id), None)
        if token is None or not self._tokens.remove(token_id):
            return None
        self._record("registration_token_revoked", by, token_id=token_id, name=token.name)
        return token

    # People

    def remove_user(self, user: User, by: By) -> None:
        """Revoked first: a person who is gone must not leave tokens that work."""
        self._revocations.revoke((f"user:{user.user_id}",), until=self.end_of_all_tokens())
        self._users.remove(user.username)
        self._record("user_removed", by, user_id=user.user_id, username=user.username)

    def disable_user(self, user: User, by: By) -> bool:
        """Keep a person out, and end what they have approved. False when they are gone.

        The person first: from then on nothing new is granted. Not the person's own id: that would outlast `enable_user`.
        """
        if not self._users.replace(replace(user, disabled=True)):
            return False
        granted = self._grants.of_subject(user.user_id)
        self._grants.end(granted)
        self._record("user_disabled", by, user_id=user.user_id, username=user.username, grants=len(granted))
        return True

    def enable_user(self, user: User, by: By) -> bool:
        """False when they are gone. What they had approved they approve again."""
        if not self._users.replace(replace(user, disabled=False)):
            return False
        self._record("user_enabled", by, user_id=user.user_id, username=user.username)
        return True

    def _record(self, action: str, by: By, **details: object) -> None:
        self._audit.record("operator", action, "success", **{**by, **details})  # type: ignore[arg-type] # the ids among them are text


def _registered_itself(client: Client) -> bool:
    """What an operator made stays until an operator ends it. Imported ones are ServiceNow's own when they are named so."""
    return client.origin == "registration" or (client.origin == "import" and _AUTOMATIC.fullmatch(client.client_name) is not None)
