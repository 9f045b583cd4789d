"""The files of an audit log, line by line, oldest first. Never a whole file in memory."""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from mcp_server.audit_log.chain import LONGEST_LINE, parse
from mcp_server.audit_log.state import Snapshot
from mcp_server.errors import GatewayError

TAIL = 262_144
GZIP = b"\x1f\x8b"
_ROTATED = re.compile(r"[.-]\d[\d.-]*(\.gz)?")


class Line(NamedTuple):
    """`text` has its newline, unless the file ends without one."""

    file: Path
    number: int
    text: bytes


def with_rotated(log: Path) -> list[Path]:
    """The log and what logrotate has made of it: audit.log.1, audit.log.2.gz, audit.log-20261121."""
    beside = [each for each in log.parent.glob(f"{log.name}*") if _ROTATED.fullmatch(each.name[len(log.name):]) and each.is_file()]
    return [*beside, *([log] if log.is_file() else [])]


def in_order(files: Iterable[Path], now: Snapshot | None = None) -> list[Path]:
    """By the number of their first record: names do not tell. Files without any record come first, empty ones not at all."""
    known = dict.fromkeys(file.absolute() for file in files)
    found = [(first, file) for file in known if (first := _first_sequence(file, now)) is not None]
    return [file for _, file in sorted(found, key=lambda each: each[0])]


def recent(log: Path, most: int) -> list[dict[str, Any]]:
    """The last records of the file, newest first; only what its last part holds. None where there is no file. Verifies nothing."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL))
            tail = stream.read(TAIL).splitlines()
    except OSError:
        return []
    found = (_record(line) for line in reversed(tail))
    return list(islice((record for record in found if record is not None), most))


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:  # the first line of the part may be half of one
        return None
    return record if isinstance(record, dict) and "action" in record else None


def lines(files: Iterable[Path], now: Snapshot | None = None) -> Iterator[Line]:
    """Each line of each file; of the file that is written to, those that were there at the snapshot. Raises GatewayError."""
    for file in files:
        yield from _lines(file, now)


def _lines(file: Path, now: Snapshot | None) -> Iterator[Line]:
    number = 0
    try:
        with _opened(file) as stream:
            left = _length(file, now)
            while text := stream.readline(LONGEST_LINE if left is None else min(left, LONGEST_LINE)):
                number += 1
                left = None if left is None else left - len(text)
                yield Line(file, number, text)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise GatewayError(f"{file} cannot be read after line {number}: {reason}") from error


def _opened(file: Path) -> BinaryIO:
    with file.open("rb") as look:
        compressed = look.read(len(GZIP)) == GZIP
    return cast("BinaryIO", gzip.open(file, "rb")) if compressed else file.open("rb")


def _length(file: Path, now: Snapshot | None) -> int | None:
    there = file.stat()
    return now.file.st_size if now and (there.st_dev, there.st_ino) == (now.file.st_dev, now.file.st_ino) else None


def _first_sequence(file: Path, now: Snapshot | None) -> int | None:
    some = False
    for line in _lines(file, now):
        some = True
        if sealed := parse(line.text):
            return sealed.sequence
    return 0 if some else None
