"""The small file beside the audit log: how far the chain is, and the lock that every writer takes.

It is hidden (`.audit.log.chain`), so that no pattern of logrotate takes it along. Who deletes it loses no line: the end of
the log says how far the chain was, and the next record says that the file was gone.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mcp_server.audit_log.chain import Link

WIDTH = 256  # always as long, so that it is overwritten by one short write
_FORM = '{{"sequence":{0.sequence},"hash":"{0.hash}","device":{0.device},"inode":{0.inode},"size":{0.size}}}'


@dataclass(frozen=True, slots=True)
class State:
    """After the last record: its place in the chain, the file it went to, and how long that was then."""

    sequence: int
    hash: str
    device: int
    inode: int
    size: int

    @property
    def link(self) -> Link:
        return Link(self.sequence, self.hash)

    def is_of(self, file: os.stat_result) -> bool:
        return (self.device, self.inode) == (file.st_dev, file.st_ino)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The log at a moment when nobody wrote."""

    state: State | None
    file: os.stat_result


def state_path(log: Path) -> Path:
    return log.with_name(f".{log.name}.chain")


def read(descriptor: int) -> State | None:
    """None when nothing is there yet, or nothing that can be read."""
    try:
        parts = json.loads(os.pread(descriptor, WIDTH, 0))
        return State(int(parts["sequence"]), str(parts["hash"]), int(parts["device"]), int(parts["inode"]), int(parts["size"]))
    except (ValueError, KeyError, TypeError):
        return None


def write(descriptor: int, state: State) -> None:
    os.pwrite(descriptor, _FORM.format(state).ljust(WIDTH - 1).encode() + b"\n", 0)


def snapshot(log: Path) -> Snapshot | None:
    """None when there is no log. Waits for the lock: not for a worker."""
    with suppress(FileNotFoundError):
        descriptor = os.open(state_path(log), os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            return Snapshot(read(descriptor), log.stat())
        finally:
            os.close(descriptor)
    with suppress(FileNotFoundError):
        return Snapshot(None, log.stat())
    return None
