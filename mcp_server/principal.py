"""Who is calling, once the credential is verified."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The verified caller of a request.

    `subject` is the person (`user_id`), or `client:<client_id>` where nobody stands behind the call.
    `revocable_ids` are the ids of which any one, once revoked, ends this credential.
    """

    client_id: str
    subject: str
    scopes: frozenset[str]
    expires_at: float
    revocable_ids: tuple[str, ...]
    grant_id: str | None = None
    token_id: str | None = None
