"""Appends to the audit log: one chain over all workers, the command line, restarts and logrotate.

Appending is one short section under a lock of the operating system: read how far the chain is, write the line, write how
far it is now. It is tried, never waited for in the kernel: while another process holds the lock, the other requests of this
worker go on. What was found wrong (a line that a killed process left half, a file that was cut) becomes a record of
its own in front of the next one, and the chain goes on.

Only a file is chained. Lines on stdout are not: several processes write there, and what collects them (journald, a container's
log driver) may drop, join or reorder them, so that a chain would break without any tampering. There the collector has to seal.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config import logs
from config.log_lines import render_json
from mcp_server.audit_log import state as states
from mcp_server.audit_log.chain import LONGEST_LINE, START, Keys, Link, parse, seal
from mcp_server.audit_log.state import State, state_path
from mcp_server.clock import Clock, elapsed
from mcp_server.concurrency import native_lock, pause

PATIENCE = 2.0  # seconds for the lock; afterwards the line goes elsewhere
AT_ONCE, PAUSE = 50, 0.001  # so often the lock is tried at once: it is held for microseconds
NO_COPYTRUNCATE = "Lines are lost when logrotate copies and truncates: use its default, which renames, with `create 0600`."

Notice = dict[str, Any]


@dataclass(slots=True)
class _Place:
    """Where the next record goes, and what has to be said before it."""

    last: Link
    notices: list[Notice] = field(default_factory=list)
    ends_a_line: bool = False


class ChainedFile:
    """Writes each record as one sealed line. A record that cannot be written goes to `otherwise`, and the file says so later."""

    def __init__(self, path: Path, keys: Keys, clock: Clock, *, otherwise: int = logs.STDOUT) -> None:
        self._path, self._state_path = path, state_path(path)
        self._keys = keys
        self._clock = clock
        self._otherwise = otherwise
        self._elsewhere = 0
        self._process, self._threads = os.getpid(), native_lock()
        self._log, self._state = _open_log(path), _open_state(path)

    def __call__(self, record: dict[str, Any]) -> None:
        rendered = render_json(record)
        try:
            for notice in self._append_when_free(rendered):
                logs.get("audit").warning(notice["action"], file=str(self._path), **notice["details"])
        except OSError as error:
            self._write_elsewhere(rendered, error.strerror or "no reason given")
        except BaseException:
            self._write_elsewhere(rendered, "the request was ended")
            raise

    def close(self) -> None:
        """A record that comes after this goes elsewhere."""
        for descriptor in (self._log, self._state):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._state = -1

    def _append_when_free(self, rendered: bytes) -> list[Notice]:
        end, tries = elapsed() + PATIENCE, 0
        while True:
            with self._section() as entered:
                if entered:
                    return self._append(rendered)
            tries += 1
            if elapsed() > end:
                raise TimeoutError(errno.ETIMEDOUT, "another process does not let go of the lock")
            if tries > AT_ONCE:
                pause(PAUSE)  # outside of both locks

    @contextmanager
    def _section(self) -> Iterator[bool]:
        """One process, and in it one thread. False when it is not to be had now."""
        if self._process != os.getpid():  # a forked child must not share the lock of its parent
            self._process, self._threads = os.getpid(), native_lock()
            self._log, self._state = _open_log(self._path), _open_state(self._path)
        with self._threads:
            if not self._locked():
                yield False
                return
            try:
                yield True
            finally:
                fcntl.flock(self._state, fcntl.LOCK_UN)

    def _locked(self) -> bool:
        try:
            fcntl.flock(self._state, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if _is_at(self._state_path, self._state):
            return True
        fresh = _open_state(self._path)  # it was deleted: others may hold the lock on a new one
        os.close(self._state)
        self._state = fresh
        return False

    def _append(self, rendered: bytes) -> list[Notice]:
        self._follow()
        file = os.fstat(self._log)
        place = self._place(states.read(self._state), file)
        if self._elsewhere:
            place.notices.append(self._notice("records_elsewhere", records=self._elsewhere, process=os.getpid()))
        written, last = b"\n" if place.ends_a_line else b"", place.last
        for line in (*map(render_json, place.notices), rendered):
            sealed, last = seal(line, last, self._keys)
            written += sealed
        logs.write_all(self._log, written)
        self._elsewhere = 0
        states.write(self._state, State(last.sequence, last.hash, file.st_dev, file.st_ino, file.st_size + len(written)))
        return place.notices

    def _place(self, state: State | None, file: os.stat_result) -> _Place:
        if state is not None and state.is_of(file) and state.size == file.st_size:
            return _Place(state.link)
        if state is None:
            return self._without_state(file)
        if not state.is_of(file):
            return self._in_another_file(state, file)
        if file.st_size < state.size:
            notice = self._notice("file_truncated", expected_bytes=state.size, found_bytes=file.st_size, next_step=NO_COPYTRUNCATE)
            return _Place(state.link, [notice], not self._ends_with_newline(file))
        return self._after_more_than_expected(state, file)

    def _without_state(self, file: os.stat_result) -> _Place:
        """The first record ever; or the file that says how far the chain was is gone."""
        if not file.st_size:
            return _Place(START)
        cut = not self._ends_with_newline(file)
        if (last := self._last_link(file)) is not None:
            return _Place(last, [self._notice("state_lost")], cut)
        return _Place(START, [self._notice("chain_started", unchained_bytes=file.st_size + cut)], cut)

    def _in_another_file(self, state: State, file: os.stat_result) -> _Place:
        if file.st_size and self._last_link(file) == state.link:  # a copy of it was put in its place
            return _Place(state.link, ends_a_line=not self._ends_with_newline(file))
        notice = self._notice("chain_continued", former_last_sequence=state.sequence, former_last_hash=state.hash, found_bytes=file.st_size)
        return _Place(state.link, [notice], not self._ends_with_newline(file))

    def _after_more_than_expected(self, state: State, file: os.stat_result) -> _Place:
        """Whole records of a process that was killed before it could say so belong to the chain; the rest does not."""
        rest, last = os.pread(self._log, min(file.st_size - state.size, LONGEST_LINE), state.size), state.link
        while (end := rest.find(b"\n") + 1) and (line := parse(rest[:end])) and line.follows(last) and self._keys.made(line):
            rest, last = rest[end:], line.link
        if not rest:
            return _Place(last)
        notice = self._notice("lines_foreign" if b"\n" in rest else "line_torn", bytes=len(rest), sha256=hashlib.sha256(rest).hexdigest())
        return _Place(last, [notice], not self._ends_with_newline(file))

    def _last_link(self, file: os.stat_result) -> Link | None:
        start = max(0, file.st_size - LONGEST_LINE)
        lines = os.pread(self._log, file.st_size - start, start).split(b"\n")[:-1]
        last = parse(lines[-1] + b"\n") if lines else None
        return last.link if last else None

    def _ends_with_newline(self, file: os.stat_result) -> bool:
        return not file.st_size or os.pread(self._log, 1, file.st_size - 1) == b"\n"

    def _notice(self, action: str, **details: Any) -> Notice:
        moment = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"event": "audit", "timestamp": moment, "event_type": "audit_chain", "action": action, "result": "success", "details": details}

    def _write_elsewhere(self, rendered: bytes, reason: str) -> None:
        self._elsewhere += 1
        logs.get("audit").error("a record could not be written, it follows here", file=str(self._path), reason=reason)
        with suppress(OSError):
            logs.write_all(self._otherwise, rendered)

    def _follow(self) -> None:
        if not _is_at(self._path, self._log):
            fresh = _open_log(self._path)
            os.close(self._log)
            self._log = fresh


def _open_log(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _open_state(path: Path) -> int:
    return os.open(state_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_at(path: Path, descriptor: int) -> bool:
    ours = os.fstat(descriptor)
    try:
        there = os.stat(path)  # noqa: PTH116 -- half as long as Path.stat
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
