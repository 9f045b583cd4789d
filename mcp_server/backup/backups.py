"""Makes backups, looks into them, and restores them.

The hot state is read before the registry. So whatever is revoked meanwhile is in the revocations of the backup, and nothing in it
lives that was dead when the backup was finished.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from mcp_server import __version__
from mcp_server.backup import contents
from mcp_server.backup.container import BackupError, DamagedBackup, NewerBackup
from mcp_server.backup.contents import GRANTS, REFRESH_TOKENS, Header
from mcp_server.clock import Clock
from mcp_server.oauth.credentials import derive_key
from mcp_server.oauth.models import Grant
from mcp_server.storage import migrations
from mcp_server.storage.redis import RedisState
from mcp_server.storage.registry import Registry
from mcp_server.storage.registry_snapshot import REVOCATIONS, UnknownColumn
from mcp_server.storage.sqlite import SqliteState

NAME, SUFFIX = "mcp-server", ".mcpbackup"
TIME = "%Y%m%dT%H%M%SZ"
COUNTED = ("clients", "users", "initial_access_tokens", GRANTS, REFRESH_TOKENS)
"""What makes a target one that is not empty. A signing key without these has signed nothing that counts."""


class OtherSecret(BackupError):
    """The digests in the backup are not under the JWT_SECRET of this server."""


class NotEmpty(BackupError):
    """The target has something that would be lost."""


@dataclass(frozen=True)
class Contents:
    """A backup as `verify` describes it. `fits`: whether this server has the JWT_SECRET that it needs."""

    header: Header
    counts: dict[str, int]
    fits: bool
    missing_secrets: list[str]


@dataclass(frozen=True)
class Restored:
    """`left_out`: what the backup has and a revocation ends. `disabled`: people who stay shut out."""

    header: Header
    counts: dict[str, int]
    left_out: dict[str, int]
    disabled: int
    safety_copy: Path | None
    missing_secrets: list[str]


class Backups:
    """Of one server. Every method raises BackupError, StoreUnavailable and OSError; a text of the first is for the operator."""

    def __init__(self, registry: Registry, state: SqliteState | RedisState, *, issuer: str, secrets: Sequence[str], clock: Clock) -> None:
        """`secrets`: JWT_SECRET and the previous ones."""
        self._registry, self._state = registry, state
        self._issuer, self._clock = issuer, clock
        self.fingerprints = [fingerprint(secret) for secret in secrets]

    def create(self, path: Path, key: str) -> dict[str, int]:
        """Into a new file at `path`, which appears when it is complete. How many there are of each kind. The server may go on."""
        with _new_file(path) as file:
            return contents.write(file, key, self._header(), self._entries())

    def verify(self, path: Path, key: str) -> Contents:
        """Read the whole of it, and change nothing."""
        with path.open("rb") as file:
            header = contents.header_of(file, key)
            file.seek(0)
            counts = dict.fromkeys(contents.ALL_KINDS, 0)
            for kind, _ in contents.entries(file, key):
                counts[kind] += 1
        return Contents(header, counts, header.secrets[0] in self.fingerprints, [each for each in header.secrets if each not in self.fingerprints])

    def restore(self, path: Path, key: str, *, replace: bool, keep_state: bool, before: Callable[[Contents], None] = lambda _: None) -> Restored:
        """Put what is in the backup in the place of what is here: all of it, or nothing.

        Revocations are never taken back: those of the backup, of the database and of the hot state count together. `keep_state` leaves the
        grants and refresh tokens that are here. With `replace` a backup of what is here is made first, beside it; `before` is called before that.
        """
        found = self.verify(path, key)
        self._require_usable(found)
        here = self._here(with_state=not keep_state)
        if any(here.values()) and not replace:
            there = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in here.items() if count)
            raise NotEmpty(f"This server is not empty: {there}. To put the backup in their place: --replace. It makes a backup of them first.")
        before(found)
        safety_copy = self._safety_copy(path, key) if any(here.values()) else None
        try:
            left_out, disabled = self._replace(path, key, keep_state=keep_state)
        except (UnknownColumn, KeyError, TypeError, ValueError) as error:
            raise DamagedBackup("The backup holds something that does not fit the tables of this release.") from error
        return Restored(found.header, found.counts, left_out, disabled, safety_copy, found.missing_secrets)

    def _require_usable(self, found: Contents) -> None:
        if found.header.revision and not migrations.is_known(found.header.revision):
            raise NewerBackup("The tables in the backup are of a newer release than this one. Use the release that made it, or a newer one: "
                              f"it was made by {found.header.release}.")
        if not found.fits:
            raise OtherSecret(
                f"The backup needs the JWT_SECRET with the fingerprint {found.header.secrets[0]}; here it is {self.fingerprints[0]}. Without it no "
                "client secret, refresh token or signing key in it would be known. Set that one as JWT_SECRET, or add it to JWT_SECRET_PREVIOUS.")

    def _here(self, *, with_state: bool) -> dict[str, int]:
        counts = self._registry.snapshot.counts() | (self._state.snapshot.counts(self._clock()) if with_state else {})
        return {kind: count for kind, count in counts.items() if kind in COUNTED}

    def _safety_copy(self, path: Path, key: str) -> Path:
        copy = path.with_name(named("before-restore", self._clock()))
        self.create(copy, key)
        return copy

    def _replace(self, path: Path, key: str, *, keep_state: bool) -> tuple[dict[str, int], int]:
        now, registry, state = self._clock(), self._registry.snapshot, self._state.snapshot
        known, disabled = registry.revocations(now), registry.disabled_users()
        revoked = {**known}
        _add(revoked, state.revocations(now).items())
        _add(revoked, ((entry["revoked_id"], entry["until"]) for kind, entry in self._read(path, key) if kind == REVOCATIONS))
        left_out: dict[str, int] = {}
        with registry.replacing() as rows, _nothing() if keep_state else state.replacing(now) as hot:  # the inner one is committed first
            for kind, record in self._read(path, key):
                if _ended(kind, record, revoked):
                    left_out[kind] = left_out.get(kind, 0) + 1
                elif kind in (GRANTS, REFRESH_TOKENS):
                    if hot is not None and _expires_at(record) > now:
                        hot.add(record)
                elif kind != REVOCATIONS:
                    rows.add(kind, {**record, "disabled": True} if kind == "users" and record["user_id"] in disabled else record)
            rows.flush()
            rows.revoke({revoked_id: until for revoked_id, until in revoked.items() if max(now, known.get(revoked_id, 0.0)) < until})
        return left_out, len(disabled)

    def _read(self, path: Path, key: str) -> Iterator[contents.Entry]:
        with path.open("rb") as file:
            yield from contents.entries(file, key)

    def _header(self) -> Header:
        return Header(
            created_at=self._clock(), release=__version__, issuer=self._issuer, registry=self._registry.snapshot.kind,
            state=self._state.snapshot.kind, revision=self._registry.snapshot.revision(), secrets=self.fingerprints)

    def _entries(self) -> Iterator[contents.Entry]:
        now = self._clock()
        for record in self._state.snapshot.records(now):
            yield GRANTS if isinstance(record, Grant) else REFRESH_TOKENS, record
        yield from self._registry.snapshot.rows(now)


def fingerprint(secret: str) -> str:
    """Tells secrets apart, and nothing of them."""
    return derive_key(secret, "fingerprint v1").hex()[:16]


def named(what: str, now: float) -> str:
    return f"{what}-{datetime.fromtimestamp(now, UTC):{TIME}}{SUFFIX}"


def made_in(folder: Path) -> list[tuple[float, Path]]:
    """When each backup that has its name from the time was made, the newest first. Copies made before a restore are none. Raises OSError."""
    found = []
    for path in folder.iterdir():
        with suppress(ValueError):
            found.append((datetime.strptime(path.name, f"{NAME}-{TIME}{SUFFIX}").replace(tzinfo=UTC).timestamp(), path))
    return sorted(found, reverse=True)


def _ended(kind: str, record: Any, revoked: dict[str, float]) -> bool:
    if kind == "clients":
        return f"client:{record['client_id']}" in revoked
    if kind == "users":
        return f"user:{record['user_id']}" in revoked
    if kind == "signing_keys":
        return f"key:{record['kid']}" in revoked
    if kind in (GRANTS, REFRESH_TOKENS):
        of = record if kind == GRANTS else record.token
        return not revoked.keys().isdisjoint((of.grant_id, f"client:{of.client_id}", f"user:{of.subject}"))
    return False


def _expires_at(record: Any) -> float:
    return float(record.expires_at if isinstance(record, Grant) else record.token.expires_at)


def _add(revoked: dict[str, float], more: Any) -> None:
    for revoked_id, until in more:
        revoked[revoked_id] = max(until, revoked.get(revoked_id, until))


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Readable by its owner alone; at its place when the block has ended well, and on the disk. Raises FileExistsError."""
    if path.exists():
        raise FileExistsError(f"{path} is there already")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # unlike a rename it replaces nothing
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
