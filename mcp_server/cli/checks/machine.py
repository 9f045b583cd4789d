"""The clock of this machine, and the space on its disks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import mcp_server
from config.settings import Settings
from mcp_server.cli.checks.finding import Finding
from mcp_server.clock import moment
from mcp_server.oauth.tokens import LEEWAY
from mcp_server.web.services import Services

SCARCE, SHORT = 1_000_000_000, 100_000_000
"""Bytes that are left: to look at, and too few."""


def clock(built: Services) -> Iterator[Finding]:
    """Against the files of this server: what was written lies in the past. The running server's clock is compared by `server`."""
    now = built.clock()
    newest = max((path.stat().st_mtime for path in [Path(mcp_server.__file__), *_files(built.settings)] if path.exists()), default=0.0)
    if newest > now + LEEWAY:
        yield Finding("clock", "fail",
                      f"It is {moment(now)}, but a file of this server was written at {moment(newest)}: the clock was set back, or is wrong.",
                      "Set the clock by NTP (timedatectl set-ntp true): tokens would be refused as expired or not yet valid.")
    else:
        yield Finding("clock", "ok", f"{moment(now)}, not before any file of this server was written")


def disks(built: Services) -> Iterator[Finding]:
    """Each disk that this server writes to, once."""
    seen: set[int] = set()
    for path in (*_files(built.settings), *_more_files(built.settings)):
        folder = next(folder for folder in path.absolute().parents if folder.exists())
        device = folder.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        left = shutil.disk_usage(folder).free
        if left < SCARCE:
            yield Finding("disk", "fail" if left < SHORT else "warn", f"{left / 1e6:.0f} MB are left on the disk of {folder}.",
                          "Make room, with old logs first: without space nothing can be approved or revoked.")


def _files(settings: Settings) -> list[Path]:
    database = settings.database_url.partition("sqlite:///")[2]
    return [settings.state_path, *([Path(database)] if database else [])]


def _more_files(settings: Settings) -> list[Path]:
    return [settings.knowledge_path, *([settings.audit_log_path] if settings.audit_log_path else [])]
