"""Whatever is done to the file is found, at its line."""

from __future__ import annotations

import re

import pytest

from mcp_server.audit_log.chain import Keys
from mcp_server.audit_log.reading import lines
from mcp_server.audit_log.verifying import verify
from mcp_server.audit_log.writer import ChainedFile

KEYS = Keys("kV9mRr2Yb7xQ4tWz8nLs3cHd6fJg1pAe")
OTHERS = Keys("another-secret-of-thirty-two-letters")


def written(path, keys=KEYS, count=6):
    append = ChainedFile(path, keys, lambda: 1_800_000_000.0)
    for number in range(count):
        append({"event": "audit", "timestamp": "t", "action": "tried", "number": number, "details": {"who": "jo"}})
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def good(tmp_path):
    return written(tmp_path / "audit.log")


def changed(pattern, replacement):
    def change(made, _others):
        made[2] = re.sub(pattern, replacement, made[2], count=1)
        return made
    return change


def moved(made, _others):
    made[2], made[3] = made[3], made[2]
    return made


TAMPERED = {  # what was done with six lines: what it is called, and where it is found
    "a value": (changed(rb'"who":"jo"', b'"who":"al"'), "changed", 3),
    "one blank": (changed(rb'"who":"jo"', b'"who": "jo"'), "changed", 3),
    "a number": (changed(rb'"sequence":3', b'"sequence":4'), "changed", 3),
    "the hash before": (changed(rb'"previous":".', b'"previous":"_'), "changed", 3),
    "the hash": (changed(rb'"hash":".{8}', b'"hash":"00000000'), "changed", 3),
    "the hash left out": (changed(rb',"hash":"[^"]*"', b""), "changed", 3),
    "all of the chain left out": (changed(rb',"sequence".*}', b"}"), "inserted", 3),
    "a field after the hash": (changed(rb"}\n$", b',"more":1}\n'), "changed", 3),
    "the key": (changed(rb'"key":".{8}', b'"key":"00000000'), "unknown key", 3),
    "one removed": (lambda made, _: made[:2] + made[3:], "removed", 3),
    "three removed": (lambda made, _: made[:1] + made[4:], "removed", 2),
    "the first removed": (lambda made, _: made[1:], "removed", 1),
    "two exchanged": (moved, "reordered", 3),
    "the last put first": (lambda made, _: made[5:] + made[:5], "removed", 1),
    "a text inserted": (lambda made, _: [*made[:3], b"hello\n", *made[3:]], "inserted", 4),
    "a blank line": (lambda made, _: [*made[:3], b"\n", *made[3:]], "inserted", 4),
    "one line twice": (lambda made, _: made[:3] + made[1:2] + made[3:], "inserted", 4),
    "a line of another server": (lambda made, others: made[:3] + others["other key"][3:4] + made[3:], "unknown key", 4),
    "a line of another chain": (lambda made, others: made[:3] + others["same key"][3:4] + made[3:], "inserted", 4),
    "another chain behind it": (lambda made, others: made + others["same key"], "restarted", 7),
    "the last cut in two": (lambda made, _: [*made[:5], made[5][:40]], "torn line", 6),
    "the newline cut off": (lambda made, _: [*made[:5], made[5][:-1]], "torn line", 6),
    "the last cut off": (lambda made, _: made[:5], "truncated", 5),
    "everything cut off": (lambda _made, _others: [], "truncated", 0),
    "bytes that are no text": (lambda made, _: [*made[:3], b"\xff\x00\x1b\n", *made[3:]], "inserted", 4),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_done_to_the_file_is_found_at_its_line(tmp_path, good, what):
    tamper, kind, line = TAMPERED[what]
    others = {"other key": written(tmp_path / "other.log", OTHERS), "same key": written_differently(tmp_path / "same.log")}
    last = re.search(rb'"hash":"(.{64})"', good[-1])[1].decode()
    path = tmp_path / "audit.log"
    path.write_bytes(b"".join(tamper(list(good), others)))
    broken = verify(lines([path]), KEYS, expected=[last]).broken
    assert (broken.kind, broken.line) == (kind, line)


def written_differently(path):
    append = ChainedFile(path, KEYS, lambda: 1_800_000_000.0)
    for number in range(6):
        append({"event": "audit", "timestamp": "t", "action": "another", "number": number})
    return path.read_bytes().splitlines(keepends=True)


def test_what_was_not_touched_is_good(tmp_path, good):
    report = verify(lines([tmp_path / "audit.log"]), KEYS)
    assert (report.broken, report.records) == (None, len(good))


def test_a_file_is_read_line_by_line(good):
    """Nothing is asked of the lines after a broken place, and none is kept."""
    def endless():
        from mcp_server.audit_log.reading import Line  # noqa: PLC0415
        yield Line("f", 1, b"hello\n")
        yield Line("f", 2, good[0])
        raise AssertionError("read on")

    assert verify(endless(), KEYS).broken.kind == "inserted"
