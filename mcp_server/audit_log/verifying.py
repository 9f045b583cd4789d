"""Walks the audit log, and names the first place where it is not what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mcp_server.audit_log.chain import START, Keys, Link, Sealed, parse
from mcp_server.audit_log.reading import Line

Kind = Literal["changed", "inserted", "removed", "reordered", "restarted", "torn line", "truncated", "unknown key"]
MOST_NOTICES = 100
BEGINS_A_FILE = "chain_continued"


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place that is wrong."""

    kind: Kind
    said: str
    file: Path
    line: int


@dataclass(slots=True)
class Report:
    records: int = 0
    unchained: int = 0
    first: Line | None = None
    last: Line | None = None
    keys: list[str] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    broken: Broken | None = None


class _Wrong(Exception):
    def __init__(self, kind: Kind, said: str, at: Line) -> None:
        super().__init__(said)
        self.broken = Broken(kind, said, at.file, at.number)


def verify(lines: Iterable[Line], keys: Keys, *, expected: Iterable[str] = ()) -> Report:
    """Walk to the first broken place, or to the end. `expected`: hashes that must be found, because records once had them."""
    walk = _Walk(keys, iter(lines), set(expected))
    try:
        walk.to_the_end()
    except _Wrong as wrong:
        walk.report.broken = wrong.broken
    return walk.report


class _Walk:
    def __init__(self, keys: Keys, lines: Iterator[Line], expected: set[str]) -> None:
        self.report = Report()
        self._keys = keys
        self._lines = lines
        self._expected = expected
        self._last: Link | None = None
        self._at = Line(Path(), 0, b"")
        self._odd: Line | None = None  # the first line since the last record that is none
        self._odd_bytes = 0
        self._before_the_chain: Line | None = None

    def to_the_end(self) -> None:
        for line in self._lines:
            if line.file != self._at.file:
                self._end_of_file()
            self._at = line
            if (sealed := parse(line.text)) is None:
                self._put_aside(line)
            else:
                self._record(line, sealed)
        self._end_of_file()
        if self._last is None and self._before_the_chain:
            raise _not_a_record(self._before_the_chain)
        self._find_expected()

    def _record(self, line: Line, sealed: Sealed) -> None:
        if not self._keys.knows(sealed.key):
            raise _Wrong("unknown key", f"It was sealed with the key {sealed.key}, which is of no configured secret. "
                         "Was JWT_SECRET changed? Name the former one in JWT_SECRET_PREVIOUS for this command.", line)
        unchanged = self._keys.made(sealed)
        notice = _notice(line) if unchanged else None
        if self._odd and not self._explains(notice):
            raise _not_a_record(self._odd)
        self._odd, self._odd_bytes = None, 0
        if not unchanged:
            raise _Wrong("changed", f"Record {sealed.sequence} is not as it was written.", line)
        if self._last is None:
            self._check_first(line, sealed, notice)
        elif not sealed.follows(self._last):
            raise self._out_of_place(line, sealed, self._last)
        self._accept(line, sealed, notice)

    def _check_first(self, line: Line, sealed: Sealed, notice: dict[str, Any] | None) -> None:
        if sealed.follows(START):
            return
        if notice is None or notice["action"] != BEGINS_A_FILE:
            raise _Wrong("removed", f"The first record is number {sealed.sequence}, and it does not say that it continues another file: "
                         "what was before it is missing.", line)
        if self._before_the_chain:
            raise _not_a_record(self._before_the_chain)

    def _out_of_place(self, line: Line, sealed: Sealed, last: Link) -> _Wrong:
        wanted = last.sequence + 1
        if sealed.follows(START):
            return _Wrong("restarted", f"A new chain begins here, after record {last.sequence}: the log and its state were deleted.", line)
        if sealed.sequence < wanted:
            return _Wrong("inserted", f"Record {sealed.sequence} stands here again, after record {last.sequence}.", line)
        if sealed.sequence == wanted:
            return _Wrong("inserted", f"Record {wanted} does not follow the one before it: it is of another chain.", line)
        if any((found := parse(each.text)) and found.sequence == wanted and self._keys.made(found) for each in self._lines):
            return _Wrong("reordered", f"Record {sealed.sequence} stands where record {wanted} belongs, which comes later.", line)
        missing = f"record {wanted} is" if sealed.sequence == wanted + 1 else f"records {wanted} to {sealed.sequence - 1} are"
        return _Wrong("removed", f"Before this line {missing} missing.", line)

    def _accept(self, line: Line, sealed: Sealed, notice: dict[str, Any] | None) -> None:
        report = self.report
        self._last = sealed.link
        report.records += 1
        report.first = report.first or line
        report.last = line
        self._expected.discard(sealed.hash)
        if sealed.key not in report.keys:
            report.keys.append(sealed.key)
        if notice and len(report.notices) < MOST_NOTICES:
            report.notices.append({
                "action": notice["action"], "sequence": sealed.sequence, "file": str(line.file), "line": line.number,
                "details": notice["details"]})

    def _put_aside(self, line: Line) -> None:
        """It may be what a killed process left, or from before the chain: the next record tells."""
        self._odd = self._odd or line
        self._odd_bytes += len(line.text)
        if self._last is None:
            self.report.unchained += 1

    def _explains(self, notice: dict[str, Any] | None) -> bool:
        """Whether the writer itself has said what these lines are. It had to end a torn line before it could go on."""
        if notice is None or self._odd is None:
            return False
        details = notice["details"]
        if notice["action"] == "line_torn":
            torn = self._odd.text.removesuffix(b"\n")
            return bool(self._odd_bytes == len(torn) + 1 and details["sha256"] == hashlib.sha256(torn).hexdigest())
        return bool(notice["action"] == "chain_started" and self._last is None and details["unchained_bytes"] == self._odd_bytes)

    def _end_of_file(self) -> None:
        if self._odd is None:
            return
        if self._last is not None:
            raise _not_a_record(self._odd)
        self._before_the_chain = self._before_the_chain or self._odd  # a whole file without a record
        self._odd, self._odd_bytes = None, 0

    def _find_expected(self) -> None:
        if self._expected:
            last = f"The log ends with record {self._last.sequence}" if self._last else "The log has no record"
            raise _Wrong("truncated", f"{last}, and the one with the hash {', '.join(sorted(self._expected))} is missing: the end was cut off, "
                         "or is in a file that was not looked at.", self._at)


def _not_a_record(line: Line) -> _Wrong:
    if not line.text.endswith(b"\n"):
        return _Wrong("torn line", "The file ends in the middle of this line: a process was killed while it wrote, or the end was cut off.", line)
    if b'"hash"' in line.text or b'"sequence"' in line.text:
        return _Wrong("changed", "This line was a record, and is not as it was written.", line)
    return _Wrong("inserted", "This line is no record.", line)


def _notice(line: Line) -> dict[str, Any] | None:
    """What the writer said about the chain itself. Called only for lines that are as they were written."""
    if b'"event_type":"audit_chain"' not in line.text:
        return None
    record: dict[str, Any] = json.loads(line.text)
    return record if record.get("event_type") == "audit_chain" else None
