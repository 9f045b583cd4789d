"""The key pairs that sign access tokens, as the registry keeps them: made once for all workers, their private part encrypted.

A key is published before it signs, and verifies after it has signed for the last time:

    created ── published, does not sign ──► signs ── its successor was published long enough ──► verifies only ──► removed
              PUBLISHED_FIRST seconds                                                            KEPT seconds
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from mcp_server.clock import Clock
from mcp_server.oauth.credentials import derive_key
from mcp_server.oauth.models import SigningKey
from mcp_server.oauth.ports import SigningKeyStore

ALGORITHM, CURVE = "ES256", "P-256"
JWKS_FRESH = 60
"""Seconds for which others may keep our JWKS."""
PUBLISHED_FIRST = 90
"""Seconds between a key's creation and its first signature: longer than anybody keeps a JWKS, and than workers take to see a key."""
KEPT = 86_400 + 60
"""Seconds for which a retired key verifies: the longest ACCESS_TOKEN_LIFETIME that is accepted, and some more for clocks that differ."""
BRIEFLY = 0.001
"""Seconds between two keys that are made at once."""


class UnreadableKey(Exception):
    """A stored key cannot be used: it was encrypted under a secret that is not configured, or is damaged."""


class KeyWrapping:
    """Encrypts private keys under JWT_SECRET; what was encrypted under a previous one is still read."""

    def __init__(self, secret: str, previous: Sequence[str] = ()) -> None:
        keys = [Fernet(base64.urlsafe_b64encode(derive_key(each, "signing keys v1"))) for each in (secret, *previous)]
        self._current, self._any = keys[0], MultiFernet(keys)

    def new(self, now: float) -> SigningKey:
        """A new key pair. Its id is its thumbprint (RFC 7638), so that an id never means another key."""
        jwk = ECKey.generate_key(CURVE, private=True)
        plain = json.dumps(jwk.as_dict(private=True)).encode()
        return SigningKey(jwk.thumbprint(), ALGORITHM, self._current.encrypt(plain).decode(), created_at=now)

    def unwrap(self, record: SigningKey) -> ECKey:
        """The key pair. Raises UnreadableKey, also when the row holds another key than it names."""
        try:
            jwk = ECKey.import_key(json.loads(self._any.decrypt(record.encrypted_jwk)))
        except (InvalidToken, JoseError, ValueError, TypeError, KeyError) as error:
            raise UnreadableKey(record.kid) from error
        if record.algorithm != ALGORITHM or jwk.curve_name != CURVE or not jwk.is_private or jwk.thumbprint() != record.kid:
            raise UnreadableKey(record.kid)
        return ECKey.import_key(jwk.as_dict(private=True), {"kid": record.kid, "alg": ALGORITHM, "use": "sig"})

    def rewrapped(self, record: SigningKey) -> SigningKey | None:
        """The record encrypted under the current secret; None when it is already. Raises UnreadableKey."""
        try:
            self._current.decrypt(record.encrypted_jwk)
        except InvalidToken:
            self.unwrap(record)
            return replace(record, encrypted_jwk=self._any.rotate(record.encrypted_jwk).decode())
        return None


class KeyRecords:
    """What prepares, rotates and removes the keys. Every method raises StoreUnavailable."""

    def __init__(self, store: SigningKeyStore, wrapping: KeyWrapping, clock: Clock) -> None:
        self._store = store
        self._wrapping = wrapping
        self._clock = clock

    def all(self) -> list[SigningKey]:
        """Newest first."""
        return self._store.all()

    def unwrap(self, record: SigningKey) -> ECKey:
        """Raises UnreadableKey."""
        return self._wrapping.unwrap(record)

    def readable(self) -> list[SigningKey]:
        """Those that can be used with the secrets that are configured, newest first."""
        return [record for record in self.all() if self.is_readable(record)]

    def is_readable(self, record: SigningKey) -> bool:
        try:
            self._wrapping.unwrap(record)
        except UnreadableKey:
            return False
        return True

    def create_first(self) -> SigningKey | None:
        """A key, when there is none: one for all, however many ask at once. It signs from now on."""
        record = self._wrapping.new(self._clock())
        return record if self._store.add_first(record) else None

    def rotate(self) -> SigningKey:
        """A new key. It signs in PUBLISHED_FIRST seconds, and the others only verify from then on."""
        self.rewrap()
        latest = max((record.created_at for record in self.all()), default=0.0)
        record = self._wrapping.new(max(self._clock(), latest + BRIEFLY))  # the newest also when clocks differ
        self._store.succeed(record, record.created_at + PUBLISHED_FIRST)
        return record

    def rewrap(self) -> list[str]:
        """Encrypt under the current JWT_SECRET what is under a previous one. The ids of those that changed."""
        changed = []
        for record in self.all():
            try:
                renewed = self._wrapping.rewrapped(record)
            except UnreadableKey:
                continue
            if renewed is not None and self._store.rewrap(record.kid, renewed.encrypted_jwk):
                changed.append(record.kid)
        return changed

    def remove(self, kid: str) -> bool:
        """End what this key signed, at once. False when there is none."""
        return self._store.remove(kid)

    def sweep(self) -> list[str]:
        """Remove the keys whose last token has ended. Their ids, each told to one caller only."""
        records = self.all()
        if all(record.retired_at is not None for record in records):  # somebody removed their successor: the last key signs on
            return []
        ended = [record.kid for record in records if record.retired_at is not None and record.retired_at + KEPT <= self._clock()]
        return [kid for kid in ended if self._store.remove(kid)]


def signing(records: Sequence[SigningKey], now: float) -> SigningKey | None:
    """Which of them, newest first, signs: the newest that was published long enough. When none was, the oldest.

    One that is retired signs only when it was left alone.
    """
    candidates = [record for record in records if record.retired_at is None or record.retired_at > now] or records
    return next((record for record in candidates if record.created_at + PUBLISHED_FIRST <= now), candidates[-1] if candidates else None)
