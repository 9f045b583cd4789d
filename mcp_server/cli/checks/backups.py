"""Whether there is a backup, and a recent one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mcp_server.backup.backups import made_in
from mcp_server.cli.checks.finding import Finding
from mcp_server.clock import moment
from mcp_server.errors import StoreUnavailable
from mcp_server.web.services import Services

DAY = 86400
OLD = 2 * DAY
BY_ITSELF = ("See why the timer made none: systemctl list-timers mcp-server-backup.timer, journalctl -u mcp-server-backup. "
             "One now: flask backup create")


def backups(built: Services) -> Iterator[Finding]:
    """Where one is expected: BACKUP_PATH is set, or it is a server in production whose data is in files of this machine."""
    settings = built.settings
    in_files = settings.production and settings.database_url.startswith("sqlite")
    if settings.backup_path is None and not in_files:
        return
    if not settings.backup_key:
        yield Finding("backup", "warn", "BACKUP_KEY is not set, so no backup can be made: what is lost with this machine is lost.",
                      "Run: flask secrets generate. Set its BACKUP_KEY (bin/install makes one too), and keep a copy of it, and of JWT_SECRET, away "
                      "from this machine.")
    if settings.backup_path is not None:
        yield _newest(built, settings.backup_path)
    elif settings.backup_key:
        yield Finding("backup", "warn", "BACKUP_PATH is not set: whether backups are made cannot be seen.",
                      "Set BACKUP_PATH to a folder, and let a timer run flask backup create --keep 14 each day (docs/recovery.md).")


def _newest(built: Services, folder: Path) -> Finding:
    now = built.clock()
    try:
        made = made_in(folder)
    except FileNotFoundError:
        made = []
    except OSError as error:
        return Finding("backup", "warn", f"{folder} cannot be read: {(error.strerror or str(error)).lower()}.",
                       "Let BACKUP_PATH be a folder that the service may read and write.")
    if made and now - made[0][0] <= OLD:
        return Finding("backup", "ok", f"the newest of {len(made)} in {folder} is of {moment(made[0][0])}")
    if made:
        return Finding("backup", "fail", f"The newest backup in {folder} is of {moment(made[0][0])}: what came since is in none.", BY_ITSELF)
    if _has_what_is_old(built, now):
        return Finding("backup", "fail", f"There is no backup in {folder}, and there is something to lose that is older than two days.", BY_ITSELF)
    return Finding("backup", "warn", f"There is no backup in {folder} yet.", BY_ITSELF)


def _has_what_is_old(built: Services, now: float) -> bool:
    """Whether something would be lost that was here two days ago."""
    try:
        return min([now, *(user.created_at for user in built.users.all()), *(client.created_at for client in built.clients.all())]) < now - OLD
    except StoreUnavailable:
        return False  # the checks of the stores have said why
