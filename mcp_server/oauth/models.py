"""What the authorization server remembers. Times are seconds since the epoch; secrets appear only as keyed digests."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

SCOPES = ("tools:read", "tools:execute")
"""Every scope that is granted, in the order in which it is shown."""

IGNORED_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
"""Asked for out of habit; accepted and not granted."""

PRIVATE_KEY_JWT = "private_key_jwt"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

DOCUMENT = "document"
"""The origin of a client that is in no registry: a URL names it, and the document there describes it."""

LONGEST_CLIENT_ID = 1000  # an access token has it too, and must stay below `tokens.MOST_CHARACTERS`


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client (RFC 7591). `client_secret_digests` has one digest, two while a secret is being rotated."""

    client_id: str
    client_name: str
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    response_types: tuple[str, ...]
    token_endpoint_auth_method: str
    created_at: float
    scope: str = " ".join(SCOPES)
    client_secret_digests: tuple[str, ...] = ()
    pkce_required: bool = True
    origin: str = "operator"  # operator, registration, import or document
    metadata: dict[str, Any] = field(default_factory=dict)  # client_uri, logo_uri, contacts … as registered
    registration_access_token_digest: str | None = None  # of what lets it manage its own registration (RFC 7592)
    registered_with: str | None = None  # the id of the initial access token, if it was a minted one
    instance: str | None = None  # the only ServiceNow instance that its redirect URIs may name, if that token said so
    last_used_at: float | None = None  # when it got a token; true to the hour

    @property
    def has_keys(self) -> bool:
        """Whether it proves itself with a signed assertion. A client that has a secret never does."""
        return self.token_endpoint_auth_method == PRIVATE_KEY_JWT and not self.client_secret_digests

    @property
    def from_document(self) -> bool:
        return self.origin == DOCUMENT

    @property
    def confidential(self) -> bool:
        return bool(self.client_secret_digests) or self.has_keys


@dataclass(frozen=True, slots=True)
class User:
    """A person who may sign in and approve. `user_id` is random, so that a name given anew is another person.

    Who comes from an OpenID provider is known by its `issuer` and the `sub` it gave, and has no password: an empty hash, which nothing matches.
    """

    user_id: str
    username: str
    password_hash: str
    created_at: float
    operator: bool = False
    disabled: bool = False
    issuer: str | None = None
    external_subject: str | None = None


@dataclass(frozen=True, slots=True)
class InitialAccessToken:
    """What lets its holder register clients (RFC 7591 §3). `uses_left` None: without a count."""

    token_id: str
    name: str
    token_digest: str
    created_at: float
    expires_at: float | None = None
    uses_left: int | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs access tokens, as an encrypted JWK. `retired_at`: verifies only, since then. It may be yet to come."""

    kid: str
    algorithm: str
    encrypted_jwk: str
    created_at: float
    retired_at: float | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """One approval. `grant_id` ties together all tokens that came of it; the grant and each of them ends at `expires_at`.

    Each use moves `expires_at` on, by the idle lifetime, and never beyond `ends_at`. None: it does not move.
    """

    grant_id: str
    client_id: str
    subject: str
    scope: str
    resource: str
    created_at: float
    expires_at: float
    ends_at: float | None = None
    redirect_uri: str | None = None  # where the code went
    last_used_at: float | None = None  # when its client got a token

    @property
    def ends_at_last(self) -> float:
        return self.expires_at if self.ends_at is None else self.ends_at


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """An authorization code as stored: everything it was issued for, and nothing of the code itself."""

    kind: ClassVar[str] = "authorization_code"
    client_id: str
    redirect_uri: str
    redirect_uri_given: bool
    scope: str
    subject: str
    resource: str
    grant_id: str
    expires_at: float
    code_challenge: str | None = None
    claimed: bool = False


@dataclass(frozen=True, slots=True)
class DeviceAuthorization:
    """What a device asks for (RFC 8628 §3.1), and what a person answered. Nothing of its two codes.

    They are good until `codes_expire_at`; the record stays until `expires_at`, to tell a late poll from a wrong one.
    """

    kind: ClassVar[str] = "device_code"
    client_id: str
    scope: str
    resource: str
    requested_from: str  # an address
    requested_at: float
    codes_expire_at: float
    expires_at: float
    interval: int  # seconds to wait between two polls
    approved: bool | None = None  # None: nobody has answered
    subject: str = ""  # who answered
    grant_id: str = ""  # of an approval
    claimed: bool = False


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token as stored. `rotated_at`: it was exchanged then. `dead`: its branch was cut by a repeated refresh.

    It is known, as evidence of a reuse, until the grant ends at the latest; it is good only while the grant is.
    """

    client_id: str
    subject: str
    scope: str
    resource: str
    grant_id: str
    expires_at: float
    rotated_at: float | None = None
    dead: bool = False


class Rotation(Enum):
    """What became of an attempt to exchange a refresh token."""

    ROTATED = "rotated"
    """It was live: it is used up, and the successor is live."""
    REPEATED = "repeated"
    """It was used a moment ago and its successor was not yet: that successor is dead, the new one is live."""
    REUSED = "reused"
    """It was used up for good: somebody has a copy."""
    UNKNOWN = "unknown"
    """It never was, or it has expired."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """`revoked_id` (a token id, a grant id, a client or a user) no longer opens anything until `until`, when nothing of it would be valid anyway."""

    sequence: int
    revoked_id: str
    until: float
