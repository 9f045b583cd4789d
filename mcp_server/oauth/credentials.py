"""Secrets: how they are made, and what is kept of them. Nothing here is ever stored or logged readable."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import bcrypt

from mcp_server.concurrency import in_real_thread
from mcp_server.errors import TooBusy

T = TypeVar("T")
Kind = Literal["code", "refresh", "client", "initial", "registration", "api-key", "decision", "sign-in", "session", "device", "user-code"]


def new_secret() -> str:
    """256 random bits, in letters that need no escaping in a URL, a header or a form."""
    return secrets.token_urlsafe(32)


def new_id() -> str:
    """128 random bits: unguessable, but a name and not a proof."""
    return secrets.token_hex(16)


def derive_key(secret: str, label: str) -> bytes:
    """A key for one purpose. The configured secret itself never signs or digests anything."""
    return hmac.digest(secret.encode(), label.encode(), "sha256")


class Digests:
    """Keyed digests of random secrets (RFC 6819 §5.1.4.1.3).

    256 random bits need no slow hash: there is no dictionary to try. The key comes from JWT_SECRET; digests made under a
    previous one are still found, so that the secret can be rotated.
    """

    def __init__(self, secret: str, previous: Sequence[str] = ()) -> None:
        self._keys = [derive_key(each, "digests v1") for each in (secret, *previous)]

    def digest(self, kind: Kind, secret: str) -> str:
        return self._under(self._keys[0], kind, secret)

    def candidates(self, kind: Kind, secret: str) -> list[str]:
        """The digest under the current key, then those under the previous ones."""
        return [self._under(key, kind, secret) for key in self._keys]

    def matches(self, kind: Kind, secret: str, stored: Sequence[str]) -> bool:
        """Whether any stored digest is one of this secret, in constant time."""
        found = False
        for candidate in self.candidates(kind, secret):
            for digest in stored:
                found |= hmac.compare_digest(candidate, digest)
        return found

    def derived(self, kind: Kind, name: str) -> str:
        """256 bits in letters that need no escaping: as unguessable as a new secret, and the same whenever we make it for this name."""
        return base64.urlsafe_b64encode(bytes.fromhex(self.digest(kind, name))).rstrip(b"=").decode()

    @staticmethod
    def _under(key: bytes, kind: Kind, secret: str) -> str:
        return hmac.digest(key, f"{kind}:{secret}".encode("utf-8", "surrogatepass"), "sha256").hex()


class Passwords:
    """People's passwords: bcrypt, in a real thread, a bounded number at once."""

    WAITING_AT_MOST = 8

    def __init__(self, cost: int = 12) -> None:
        self._cost = cost
        self._places = threading.BoundedSemaphore(self.WAITING_AT_MOST)
        self._nobody: bytes | None = None

    def hash(self, password: str) -> str:
        return self._in_thread(bcrypt.hashpw, self._prehash(password), bcrypt.gensalt(self._cost)).decode()

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password is right. Without a hash, or with an empty one, it takes as long and is False, so that time tells no names.

        Raises TooBusy when too many are being checked already.
        """
        if not password_hash:
            if self._nobody is None:
                self._nobody = self._in_thread(bcrypt.hashpw, b"nobody", bcrypt.gensalt(self._cost))
            self._in_thread(bcrypt.checkpw, self._prehash(password), self._nobody)
            return False
        try:
            return self._in_thread(bcrypt.checkpw, self._prehash(password), password_hash.encode())
        except ValueError:  # a stored hash that bcrypt cannot read opens nothing
            return False

    def _in_thread(self, function: Callable[[bytes, bytes], T], first: bytes, second: bytes) -> T:
        if not self._places.acquire(blocking=False):
            raise TooBusy("Too many people are signing in at this moment. Try again in a few seconds.")
        try:
            return in_real_thread(function, first, second)
        finally:
            self._places.release()

    @staticmethod
    def _prehash(password: str) -> bytes:
        """Digest the whole password first: bcrypt reads 72 bytes, and stops at NUL."""
        return base64.b64encode(hashlib.sha256(password.encode("utf-8", "surrogatepass")).digest())
