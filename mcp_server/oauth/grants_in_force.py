"""The grants in force, and how one ends before its time: by the person who gave it, or by an operator."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_server.clock import Clock
from mcp_server.oauth.models import Grant
from mcp_server.oauth.ports import GrantStore
from mcp_server.oauth.revocations import Revocations


class GrantsInForce:
    """A grant is in force until it ends or is revoked, by itself or with its client or its person.

    `tokens_accepted_for`: seconds for which an access token that was issued now is accepted, at most.
    """

    def __init__(self, grants: GrantStore, revocations: Revocations, *, tokens_accepted_for: int, clock: Clock) -> None:
        self._grants = grants
        self._revocations = revocations
        self._tokens_accepted_for = tokens_accepted_for
        self._clock = clock

    def all(self) -> list[Grant]:
        """Newest first."""
        return [grant for grant in self._grants.all(self._clock()) if not self.is_revoked(grant)]

    def of_subject(self, subject: str) -> list[Grant]:
        """Newest first."""
        return [grant for grant in self._grants.of_subject(subject, self._clock()) if not self.is_revoked(grant)]

    def is_revoked(self, grant: Grant) -> bool:
        return self._revocations.any_revoked((grant.grant_id, f"client:{grant.client_id}", f"user:{grant.subject}"))

    def end(self, grants: Sequence[Grant]) -> None:
        """Revoke them with all of their tokens. Returns when the ledger has it; raises StoreUnavailable when it has not.

        What is approved after this is another grant, and works.
        """
        if grants:
            until = max(grant.ends_at_last for grant in grants) + self._tokens_accepted_for
            self._revocations.revoke([grant.grant_id for grant in grants], until)
