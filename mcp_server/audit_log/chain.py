"""How a line of the audit log is bound to the one before it.

Each line ends with its number, the hash of the line before, the id of the key, and its own hash: HMAC-SHA256 over all of the line
before that, byte for byte. The key comes from JWT_SECRET: who cannot read that secret cannot make a line that fits.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mcp_server.oauth.credentials import derive_key

LONGEST_LINE = 16 * 1024 * 1024
_SEALED = re.compile(rb'(\{.*,"sequence":(\d{1,18}),"previous":"([0-9a-f]{64})","key":"([0-9a-f]{16})"),"hash":"([0-9a-f]{64})"\}\n')


@dataclass(frozen=True, slots=True)
class Link:
    """The place in the chain after which the next line comes."""

    sequence: int
    hash: str


START = Link(0, "0" * 64)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A line that has the form of one of ours. Whether it is one, `Keys.made` says."""

    text: bytes
    sequence: int
    previous: str
    key: str
    hash: str

    @property
    def link(self) -> Link:
        return Link(self.sequence, self.hash)

    def follows(self, last: Link) -> bool:
        return self.sequence == last.sequence + 1 and self.previous == last.hash


class Keys:
    """The key that new lines get, and those of former secrets (JWT_SECRET_PREVIOUS), under which older lines are still verified."""

    def __init__(self, secret: str, previous: Sequence[str] = ()) -> None:
        keys = [derive_key(each, "audit chain v1") for each in (secret, *previous)]
        self._keys = {hmac.digest(key, b"id", "sha256").hex()[:16]: key for key in keys}
        self.current = next(iter(self._keys))

    def knows(self, key_id: str) -> bool:
        return key_id in self._keys

    def hash(self, text: bytes) -> str:
        return hmac.digest(self._keys[self.current], text, "sha256").hex()

    def made(self, line: Sealed) -> bool:
        """Whether this line was written with one of these keys, and is as it was written."""
        key = self._keys.get(line.key)
        return key is not None and hmac.compare_digest(hmac.digest(key, line.text, "sha256").hex(), line.hash)


def seal(rendered: bytes, last: Link, keys: Keys) -> tuple[bytes, Link]:
    """Return a rendered line with its place in the chain, and that place."""
    text = b'%s,"sequence":%d,"previous":"%s","key":"%s"' % (
        rendered[:-len(b"}\n")], last.sequence + 1, last.hash.encode(), keys.current.encode())
    link = Link(last.sequence + 1, keys.hash(text))
    return b'%s,"hash":"%s"}\n' % (text, link.hash.encode()), link


def parse(line: bytes) -> Sealed | None:
    """The parts of a whole line, newline included; None when it has not the form of a sealed one."""
    found = _SEALED.fullmatch(line)
    if found is None:
        return None
    text, sequence, previous, key, digest = found.groups()
    return Sealed(text, int(sequence), previous.decode(), key.decode(), digest.decode())
