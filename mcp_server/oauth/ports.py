"""What the authorization server asks of its storage, as promises.

Every promise is a test in `tests/contract/`, run over every back end. A method raises StoreUnavailable when the
back end does not answer in time, and nothing else. Digests are made by `credentials.Digests`; no port sees a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mcp_server.oauth.models import (
    AuthorizationCode,
    Client,
    DeviceAuthorization,
    Grant,
    InitialAccessToken,
    RefreshToken,
    Revocation,
    Rotation,
    SigningKey,
    User,
)


class ClientStore(Protocol):
    """Registered clients: durable, an added client survives a crash."""

    def find(self, client_id: str) -> Client | None: ...
    def add(self, client: Client) -> None:
        """Raises ValueError when the id is taken."""

    def replace(self, client: Client) -> bool:
        """Store the changed client, but for `last_used_at`. False when there is none with that id."""

    def remove(self, client_id: str) -> bool:
        """False when there was none."""

    def touch(self, client_id: str, now: float) -> None:
        """It is used now. `last_used_at` never goes back."""

    def remove_unused(self, client_id: str, since: float) -> bool:
        """Remove it if it was neither made nor used at `since` or later, in one step. False when it was, or there is none."""

    def all(self) -> list[Client]:
        """Newest first."""


class UserStore(Protocol):
    def find(self, username: str) -> User | None:
        """By name, without regard to case."""

    def find_by_id(self, user_id: str) -> User | None: ...
    def find_by_identity(self, issuer: str, external_subject: str) -> User | None:
        """Whom this provider calls so. Both are compared letter by letter."""

    def add(self, user: User) -> None:
        """Raises ValueError when the name, or the identity at a provider, is taken."""

    def replace(self, user: User) -> bool: ...
    def rename(self, user_id: str, username: str) -> bool:
        """Change the name and nothing else. False when there is no such person. Raises ValueError when the name is taken."""

    def remove(self, username: str) -> bool: ...
    def all(self) -> list[User]: ...


class InitialAccessTokenStore(Protocol):
    def add(self, token: InitialAccessToken) -> None: ...
    def use(self, token_digest: str, now: float) -> InitialAccessToken | None:
        """Count one use. None when unknown, expired or used up: however many ask at once, a count of N is used N times."""

    def give_back(self, token_id: str) -> None:
        """Undo one use: the registration it was for did not come about."""

    def remove(self, token_id: str) -> bool: ...
    def all(self) -> list[InitialAccessToken]: ...


class SigningKeyStore(Protocol):
    def add_first(self, key: SigningKey) -> bool:
        """Add it when there is no key. True for one caller at most, however many ask at once."""

    def succeed(self, key: SigningKey, retires_at: float) -> None:
        """Add it, and let all others that are not retired yet retire at that time, in one step."""

    def rewrap(self, kid: str, encrypted_jwk: str) -> bool:
        """Store the same key, encrypted anew. False when there is none with that id."""

    def remove(self, kid: str) -> bool:
        """False when there was none."""

    def all(self) -> list[SigningKey]:
        """Newest first."""


class ImportLedger(Protocol):
    """Which files were imported, by the digest of their content: an import happens once, however many start at once."""

    def take_over(self, content_digest: str, clients: Sequence[Client], now: float) -> int:
        """Add the clients whose ids are free, and remember the content, in one step: a crash leaves both or neither.

        How many were added; 0 when this content was imported before.
        """


class GrantStore(Protocol):
    def add(self, grant: Grant) -> None:
        """In the place of the one with that id, if there is one."""

    def find(self, grant_id: str, now: float) -> Grant | None:
        """None when unknown or expired."""

    def of_subject(self, subject: str, now: float) -> list[Grant]:
        """The grants of one subject that have not expired, newest first, without looking at anybody else's."""

    def all(self, now: float) -> list[Grant]:
        """For operators: every grant that has not expired, newest first."""


class AuthorizationCodeStore(Protocol):
    def add(self, code_digest: str, code: AuthorizationCode) -> None:
        """A code that is there already stays as it is, claimed or not."""

    def find(self, code_digest: str, now: float) -> AuthorizationCode | None:
        """The code, claimed or not, until it expires."""

    def claim(self, code_digest: str, now: float) -> bool:
        """True for exactly one caller, however many ask at once. A claimed code stays findable, as evidence of a replay."""


class DeviceAuthorizationStore(Protocol):
    """Devices that wait for a person. The device knows one code, the person the other; each finds the same record."""

    def add(self, device_code_digest: str, user_code_digest: str, device: DeviceAuthorization, now: float) -> bool:
        """False when the user code is that of another device and still good. Nothing is stored then."""

    def find(self, device_code_digest: str, now: float) -> DeviceAuthorization | None:
        """Answered, claimed or not, until the record expires."""

    def find_by_user_code(self, user_code_digest: str, now: float) -> DeviceAuthorization | None:
        """Answered or not, until the codes expire."""

    def decide(self, user_code_digest: str, *, approved: bool, subject: str, grant_id: str, now: float) -> bool:
        """The answer of a person. True for exactly one caller, however many answer at once; never after the codes expired."""

    def poll(self, device_code_digest: str, now: float, *, leeway: float) -> bool:
        """One poll. True when it came no more than `leeway` seconds before its time.

        If not, the interval is five seconds longer from then on (RFC 8628 §3.5). Of those who poll at once, one is in time.
        """

    def claim(self, device_code_digest: str, now: float) -> bool:
        """True for exactly one caller, however many ask at once, if it was approved and the codes have not expired."""


class RefreshTokenStore(Protocol):
    def add(self, token_digest: str, token: RefreshToken) -> None: ...
    def find(self, token_digest: str, now: float) -> RefreshToken | None:
        """The token, rotated or not, until it expires."""

    def rotate(self, token_digest: str, successor_digest: str, successor: RefreshToken, *, now: float, grace: float) -> Rotation:
        """Exchange the token for the successor, in one step.

        ROTATED for exactly one caller. For the others, within `grace` seconds after that and while its successor is
        unused: REPEATED, and that successor is dead from then on. So at most one branch is ever live. Else REUSED.
        Nothing is stored for REUSED and UNKNOWN.
        """


class SingleUseStore(Protocol):
    def claim(self, single_use_id: str, until: float, now: float) -> bool:
        """True for the first caller, False for all others until `until`: an assertion's `jti`."""

    def settle(self, question: str, answer: str, until: float, now: float) -> tuple[str, float]:
        """The first answer to the question, and when it was given, for all who answer until `until`: whoever was first has settled it."""


class JwksUnavailable(Exception):
    """The keys at a jwks_uri could not be had. The text says why, for the audit."""


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """`fresh`: fetched for this very question."""

    jwks: Mapping[str, Any]
    fresh: bool


class JwksSource(Protocol):
    """The keys that clients publish at their jwks_uri. Both raise JwksUnavailable within seconds; a failure is never remembered."""

    def keys(self, jwks_uri: str) -> PublishedKeys: ...
    def keys_again(self, jwks_uri: str, client_id: str) -> PublishedKeys | None:
        """Fetched anew, because a key was missing. None when that was done for this client a moment ago."""


class DocumentUnavailable(Exception):
    """A client document could not be had. The text says why, for the audit. `lasting`: asking again soon would not help."""

    def __init__(self, reason: str, *, lasting: bool) -> None:
        super().__init__(reason)
        self.lasting = lasting


class ClientDocumentSource(Protocol):
    """The clients that describe themselves at the URL which is their id. A failure is never remembered."""

    def client(self, client_id: str) -> Client:
        """Kept within bounds, or fetched. Raises DocumentUnavailable within seconds, and InvalidClient when the document does not do."""

    def last(self, client_id: str) -> Client | None:
        """As it was a while ago, if nothing was heard since that takes it back."""


class RevocationLedger(Protocol):
    """The truth about revocations: durable, never emptied by a cache that was lost."""

    def record(self, revoked_ids: Iterable[str], until: float) -> None:
        """Returns only when it is committed."""

    def any_revoked(self, revoked_ids: Sequence[str], now: float) -> bool: ...
    def since(self, sequence: int, now: float) -> list[Revocation]:
        """The revocations in force that were recorded after `sequence`, in order."""

    def sweep(self, now: float) -> None:
        """Forget what has run out."""


@dataclass(slots=True)  # not frozen: made for every call, and freezing costs three times as much
class Admission:
    """`complete`: the copy has every revocation; if not, `revoked` False means nothing. `hits` includes this one."""

    revoked: bool
    complete: bool
    hits: int
    seconds_left: int


class RevocationCopy(Protocol):
    """A fast copy of the ledger that every worker shares, and the count of requests, asked in one round trip."""

    def put(self, revocations: Iterable[Revocation], now: float) -> None: ...
    def mark_complete(self) -> None:
        """From now on until the copy is lost, `complete` is True."""

    def any_revoked(self, revoked_ids: Sequence[str], now: float) -> bool | None:
        """None when the copy is not complete and has none of them."""

    def admit(self, revoked_ids: Sequence[str], counter: str, window: int, now: float) -> Admission:
        """Count one hit of `counter` in its fixed window of `window` seconds, and look the ids up."""
