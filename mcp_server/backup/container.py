"""A sealed file: encrypted, and whoever opens it finds every bit that was changed, cut off, moved or added.

AES-256-GCM over chunks of one size. The nonce of a chunk is its number and whether it is the last one, and the beginning of the file is
authenticated with each: so no chunk can be left out, repeated or put elsewhere, and a file that ends early has no last chunk. The key is
derived by scrypt for each file anew, so that no nonce is ever used twice under one key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"MCPBACKUP"
VERSION = 1
CHUNK = 65536
TAG = 16
COST = 2**15
"""Of scrypt: a tenth of a second and 32 MB for each key that somebody tries."""
_SALT = 16
_CHECK = 16
_BEGINNING = len(MAGIC) + 1 + _SALT + _CHECK
_LAST = 1


class BackupError(Exception):
    """The backup cannot be used. The text says why, and what to do."""


class DamagedBackup(BackupError):
    """It is no backup, not a whole one, or was changed."""


class WrongKey(BackupError):
    """It was sealed with another key."""


class NewerBackup(BackupError):
    """A newer release made it."""


class Sealer:
    """Writes what it is given into `file`, sealed. Without `finish` the file is not a whole one."""

    def __init__(self, file: BinaryIO, key: str) -> None:
        salt = os.urandom(_SALT)
        cipher, check = _derived(key, salt)
        self._file, self._cipher = file, cipher
        self._beginning = MAGIC + bytes([VERSION]) + salt + check
        self._rest, self._number = bytearray(), 0
        file.write(self._beginning)

    def write(self, plain: bytes) -> None:
        self._rest += plain
        while len(self._rest) > CHUNK:  # the last chunk has something in it
            self._seal(bytes(self._rest[:CHUNK]))
            del self._rest[:CHUNK]

    def finish(self) -> None:
        self._seal(bytes(self._rest), _LAST)

    def _seal(self, plain: bytes, last: int = 0) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last), plain, self._beginning))
        self._number += 1


def opened(file: BinaryIO, key: str) -> Iterator[bytes]:
    """What was sealed, chunk by chunk; each is genuine, but the whole is so only when the last one has come.

    Raises DamagedBackup, WrongKey and NewerBackup.
    """
    beginning = file.read(_BEGINNING)
    if beginning[:len(MAGIC)] != MAGIC or len(beginning) < _BEGINNING:
        raise DamagedBackup("This is no backup of this server, or only the beginning of one.")
    version, salt, check = beginning[len(MAGIC)], beginning[-_SALT - _CHECK:-_CHECK], beginning[-_CHECK:]
    if version > VERSION:
        raise NewerBackup(f"The backup has format {version}, and this release knows format {VERSION}. Use the release that made it, or a newer one.")
    cipher, expected = _derived(key, salt)
    if not hmac.compare_digest(check, expected):
        raise WrongKey("The backup was made with another BACKUP_KEY. Give the one of that time: --key-file FILE.")
    number, sealed, following = 0, file.read(CHUNK + TAG), b""
    while True:
        following = file.read(CHUNK + TAG)
        try:
            yield cipher.decrypt(_nonce(number, 0 if following else _LAST), sealed, beginning)
        except InvalidTag:
            intact = _BEGINNING + number * (CHUNK + TAG)
            raise DamagedBackup(f"The backup is damaged: it was changed or cut off after byte {intact}. Take another one.") from None
        if not following:
            return
        number, sealed = number + 1, following


@lru_cache(maxsize=4)
def _derived(key: str, salt: bytes) -> tuple[AESGCM, bytes]:
    """The cipher, and what tells a wrong key from a damaged file."""
    derived = hashlib.scrypt(key.encode(), salt=salt, n=COST, r=8, p=1, maxmem=2**26, dklen=32 + _CHECK)
    return AESGCM(derived[:32]), derived[32:]


def _nonce(number: int, last: int) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
