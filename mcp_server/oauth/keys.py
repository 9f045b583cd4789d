"""The keys that this worker signs access tokens with and verifies them by.

HS256 under JWT_SECRET, or ES256 key pairs that all workers share. The setting decides what signs; both verify, so that
a switch between the two ends no token.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

from joserfc.jwk import ECKey, OctKey

from mcp_server.clock import Clock, wall_clock
from mcp_server.errors import InvalidToken, StoreUnavailable
from mcp_server.oauth.credentials import derive_key
from mcp_server.oauth.key_records import ALGORITHM, KeyRecords, UnreadableKey, signing
from mcp_server.oauth.models import SigningKey

Key = OctKey | ECKey
PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "kid", "alg", "use")
LOOK_AGAIN = 0.25
"""Seconds between two questions to the store for the sake of key ids that nobody here knows."""
THUMBPRINT_LENGTH = 43


class KeyRing:
    """The keys as they are at one time. Never changed, only swapped for another, and what was verified by it is forgotten with it."""

    def __init__(self, secret_keys: Sequence[OctKey], pairs: Sequence[tuple[SigningKey, ECKey]] = ()) -> None:
        self._records = [record for record, _ in pairs]
        self._private = {record.kid: pair for record, pair in pairs}
        public = [ECKey.import_key(_public(pair)) for _, pair in pairs]
        keys: list[Key] = [*secret_keys, *public]
        self.verifying = {str(key.kid): key for key in keys}
        self.jwks = {"keys": [_public(pair) for _, pair in pairs]}
        self.remembered: dict[str, Any] = {}

    def signing(self, now: float) -> ECKey | None:
        record = signing(self._records, now)
        return self._private[record.kid] if record else None


class SigningKeys:
    """The keys of this worker. `ring` is read by reference and replaced when the registry has other keys: no request waits for that."""

    def __init__(
        self, secret: str, previous: Sequence[str] = (), *, algorithm: str = "HS256", records: KeyRecords | None = None, clock: Clock = wall_clock,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.algorithm = algorithm
        self._secret_keys = [_secret_key(each) for each in (secret, *previous)]
        self.ring = KeyRing(self._secret_keys)
        self._records = records
        self._clock = clock
        self._warn = warn
        self._read: list[SigningKey] | None = None
        self._looked_at: float | None = None
        self._reading = threading.Lock()

    @property
    def published(self) -> bool:
        """Whether others can verify our tokens, by a JWKS."""
        return self.algorithm == ALGORITHM

    @property
    def active(self) -> Key:
        """The key that signs now. Raises StoreUnavailable."""
        if not self.published:
            return self._secret_keys[0]
        key = self._ring().signing(self._clock())
        if key is None:
            raise StoreUnavailable("The server cannot issue tokens at the moment.", detail="no signing key can be used: see flask keys list")
        return key

    @property
    def jwks(self) -> dict[str, Any]:
        """The public parts (RFC 7517). Raises StoreUnavailable."""
        return self._ring().jwks

    def verifying(self, header: dict[str, Any]) -> Key:
        """The key that a token's header names: its id chooses the key, and the key dictates the algorithm.

        Raises InvalidToken, and StoreUnavailable when it may be a key that this worker has not seen yet.
        """
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(kid, str):
            raise InvalidToken("The access token is not valid.", detail="no key id")
        key = self.ring.verifying.get(kid)
        if key is None and algorithm == ALGORITHM and len(kid) == THUMBPRINT_LENGTH:
            self._look_for(kid)
            key = self.ring.verifying.get(kid)
        if key is None or key.alg != algorithm:
            raise InvalidToken("The access token is not valid.", detail="unknown key id, or not the algorithm of that key")
        return key

    def follow(self) -> None:
        """Bring the ring in step with the registry. Called every few seconds. Never raises: what is known stays known."""
        try:
            with self._reading:
                self._update()
        except StoreUnavailable:
            return

    def _ring(self) -> KeyRing:
        if self._read is None:
            with self._reading:
                if self._read is None:
                    self._update()
        return self.ring

    def _look_for(self, kid: str) -> None:
        """Before a token is refused for its key: a key may be newer than what this worker saw last."""
        with self._reading:
            now = self._clock()
            asked_just_now = self._looked_at is not None and 0 <= now - self._looked_at < LOOK_AGAIN
            if kid in self.ring.verifying or (asked_just_now and self._read is not None):
                return
            self._update()
            self._looked_at = now

    def _update(self) -> None:
        """Raises StoreUnavailable. One at a time, so that an older answer never replaces a newer one."""
        records = self._records.all() if self._records else []
        if records == self._read:
            return
        pairs = []
        for record in records:
            try:
                pairs.append((record, self._records.unwrap(record)))  # type: ignore[union-attr] # there are records
            except UnreadableKey:
                self._warn(f"The signing key {record.kid} cannot be read: is the JWT_SECRET it was made under in JWT_SECRET_PREVIOUS?")
        self.ring = KeyRing(self._secret_keys, pairs)
        self._read = records


def _secret_key(secret: str) -> OctKey:
    raw = derive_key(secret, "at+jwt v1")
    return OctKey.import_key(raw, {"kid": hashlib.sha256(raw).hexdigest()[:8], "alg": "HS256", "use": "sig"})


def _public(pair: ECKey) -> dict[str, Any]:
    """Named one by one: whatever a key may hold, nothing else is published."""
    everything = pair.as_dict(private=False)
    return {name: everything[name] for name in PUBLIC_MEMBERS}
