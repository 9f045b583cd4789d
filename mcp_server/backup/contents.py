"""What is in a backup: JSON lines. The header says what it is of, the end what must have come before it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson

from mcp_server.backup.container import BackupError, DamagedBackup, Sealer, opened
from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.models import Grant, RefreshToken
from mcp_server.storage import records
from mcp_server.storage.records import KeptRefreshToken
from mcp_server.storage.registry_snapshot import KINDS, REVOCATIONS

GRANTS, REFRESH_TOKENS = "grants", "refresh_tokens"
ALL_KINDS = (*KINDS, REVOCATIONS, GRANTS, REFRESH_TOKENS)

Entry = tuple[str, Any]
"""A kind, and a Grant, a KeptRefreshToken, or the row of the table that is named like the kind."""


@dataclass(frozen=True)
class Header:
    """`secrets`: the fingerprints of JWT_SECRET and of the previous ones, the current one first. `revision`: of the tables."""

    created_at: float
    release: str
    issuer: str
    registry: str
    state: str
    revision: str
    secrets: list[str] = field(default_factory=list)


def write(file: BinaryIO, key: str, header: Header, entries: Iterable[Entry]) -> dict[str, int]:
    """How many there are of each kind. What is only half written cannot be opened."""
    sealer, counts = Sealer(file, key), Counter[str]()
    sealer.write(_line("header", header))
    for kind, record in entries:
        sealer.write(_line(kind, record))
        counts[kind] += 1
    counted = {kind: counts[kind] for kind in ALL_KINDS}
    sealer.write(_line("end", counted))
    sealer.finish()
    return counted


def header_of(file: BinaryIO, key: str) -> Header:
    """Raises BackupError."""
    for line in _lines(file, key):
        return _header(*_parsed(line))
    raise DamagedBackup("The backup is empty.")


def entries(file: BinaryIO, key: str) -> Iterator[Entry]:
    """Everything in it. What has come is not to be acted upon before the last one has: only then it is whole. Raises BackupError."""
    lines, counts = _lines(file, key), Counter[str]()
    _header(*_parsed(next(lines, b"")))
    for line in lines:
        kind, value = _parsed(line)
        if kind == "end":
            if value != {name: counts[name] for name in value} or sum(value.values()) != counts.total() or next(lines, None) is not None:
                raise DamagedBackup("The backup does not hold what its end says.")
            return
        counts[kind] += 1
        yield kind, _record(kind, value)
    raise DamagedBackup("The backup has no end.")


def _line(kind: str, value: Any) -> bytes:
    return orjson.dumps([kind, value]) + b"\n"


def _lines(file: BinaryIO, key: str) -> Iterator[bytes]:
    rest = b""
    for chunk in opened(file, key):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        raise DamagedBackup("The backup ends within a line.")


def _parsed(line: bytes) -> Entry:
    try:
        kind, value = orjson.loads(line)
        if not isinstance(kind, str) or not isinstance(value, dict):
            raise ValueError("not a kind and an object")  # noqa: TRY004, TRY301 - as what JSON itself raises
    except ValueError:
        raise DamagedBackup("The backup holds something that is not ours.") from None
    return kind, value


def _header(kind: str, value: dict[str, Any]) -> Header:
    known = {each.name for each in dataclasses.fields(Header)}
    if kind != "header" or not known <= value.keys():
        raise DamagedBackup("The backup does not begin with what it is of.")
    return Header(**{name: value[name] for name in known})


def _record(kind: str, value: dict[str, Any]) -> Any:
    try:
        if kind == GRANTS:
            return records.load(Grant, orjson.dumps(value))
        if kind == REFRESH_TOKENS:
            return KeptRefreshToken(value["digest"], records.load(RefreshToken, orjson.dumps(value["token"])), value["successor"])
    except (StoreUnavailable, KeyError) as error:
        raise DamagedBackup(f"The backup holds one of the {kind} that cannot be read.") from error
    if kind not in ALL_KINDS:
        raise BackupError(f"The backup holds {kind}, which this release does not know. Use the release that made it, or a newer one.")
    return value
