"""`flask backup`: one encrypted file with clients, people, keys, grants and revocations, and how to come back from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mcp_server.backup.backups import NAME, Backups, Contents, Restored, made_in, named
from mcp_server.backup.container import BackupError, DamagedBackup, NewerBackup, WrongKey
from mcp_server.cli.command import FAILED, Group, record, record_failure, services
from mcp_server.cli.output import as_json, error_line, print_record, remark
from mcp_server.clock import moment
from mcp_server.errors import StoreUnavailable

UNUSABLE = 65  # EX_DATAERR: the file is the trouble
LEAST_CHARACTERS = 32
NO_KEY = ("BACKUP_KEY is not set. flask secrets generate makes one; keep a copy of it, and of JWT_SECRET, away from this machine: without them no "
          "backup opens.")

backup = Group("backup", help="Make, check and restore backups: one encrypted file each.")
key_file = click.option("--key-file", type=click.Path(path_type=Path), metavar="FILE", help="The key is in this file, instead of in BACKUP_KEY.")


@backup.command("create")
@click.argument("path", metavar="[FILE|FOLDER]", type=click.Path(path_type=Path), required=False)
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Then remove the older backups of the folder: so many stay, this one too.")
@key_file
@as_json
def create(path: Path | None, keep: int | None, key_file: Path | None, *, as_json: bool) -> None:
    """Write a backup while the server goes on. In a folder it gets a name with the time. Without an argument it goes to BACKUP_PATH, or here.

    In it: clients, people, initial access tokens, signing keys, approvals with their refresh tokens, and what is revoked. Not in it: the secrets of
    the configuration, and codes in flight.
    """
    key = _key(key_file)
    path = path or _own_folder()
    if path.is_dir():
        path = path / named(NAME, services().clock())
    elif keep is not None:
        raise click.BadParameter(f"it goes with a folder, and {path} is none.", param_hint="--keep")
    with _told("backup_created", path) as details:
        counts = _backups().create(path, key)
        details |= {"bytes": path.stat().st_size, **counts}
    removed = [] if keep is None else _remove_older(path.parent, keep)
    print_record({"file": str(path), "bytes": path.stat().st_size, **counts, "removed": removed}, as_json=as_json)


@backup.command("verify")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@key_file
@as_json
def verify(path: Path, key_file: Path | None, *, as_json: bool) -> None:
    """Read a backup to its end, say what is in it, and whether this server could use it. Nothing is changed."""
    with _told("backup_verified", path) as details:
        found = _backups().verify(path, _key(key_file))
        details |= {"fits": found.fits, **found.counts}
    print_record({"file": str(path), **_described(found)}, as_json=as_json)
    if not found.fits:
        remark(f"\nIt needs the JWT_SECRET with the fingerprint {found.header.secrets[0]}; here it is {_backups().fingerprints[0]}.")


@backup.command("restore")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Also when this server is not empty. A backup of what is here is made first, beside FILE.")
@click.option("--keep-state", is_flag=True, help="Leave the approvals and refresh tokens that are here: only the database was lost.")
@click.option("--yes", is_flag=True, help="With --replace: do not ask.")
@key_file
@as_json
def restore(path: Path, key_file: Path | None, *, replace: bool, keep_state: bool, yes: bool, as_json: bool) -> None:
    """Put what is in FILE in the place of what is here: all of it, or nothing. Stop the server first.

    What is revoked here or in FILE stays revoked. The tables are made when they are not there. Between SQLite, PostgreSQL and Redis it may change.
    """
    def ask(found: Contents) -> None:
        if replace and not yes:
            click.confirm(f"Replace what is here by the backup of {moment(found.header.created_at)}?", abort=True, err=True)

    built = services()
    with _told("backup_restored", path) as details:
        done = _backups().restore(path, _key(key_file), replace=replace, keep_state=keep_state, before=ask)
        details |= {"created_at": moment(done.header.created_at), "kept_state": keep_state,
                    "safety_copy": str(done.safety_copy) if done.safety_copy else None, "left_out": done.left_out, **done.counts}
    built.revocations.follow()
    _tell_restored(done, path, keep_state=keep_state, as_json=as_json)


def _own_folder() -> Path:
    """BACKUP_PATH, which is made; or where we are."""
    folder: Path | None = services().settings.backup_path
    if folder is None:
        return Path()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be made ({(error.strerror or str(error)).lower()}). BACKUP_PATH must be a folder "
                                   "that the service may write to.") from None
    return folder


def _remove_older(folder: Path, keep: int) -> list[str]:
    """Only what has a name of ours. The new backup is good, whatever becomes of the others."""
    removed = []
    try:
        for _, path in made_in(folder)[keep:]:
            path.unlink(missing_ok=True)
            removed.append(str(path))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        record_failure("backups_removed", folder=str(folder), files=removed, reason=reason)
        raise click.ClickException(f"The backup was made. Older ones could not be removed: {error.filename or folder}: {reason}.") from None
    if removed:
        record("backups_removed", folder=str(folder), files=removed)
    return removed


def _tell_restored(done: Restored, path: Path, *, keep_state: bool, as_json: bool) -> None:
    safety_copy = str(done.safety_copy) if done.safety_copy else None
    print_record({"file": str(path), "created_at": moment(done.header.created_at), **done.counts, "left_out_as_revoked": sum(done.left_out.values()),
                  "kept_disabled": done.disabled, "safety_copy": safety_copy}, as_json=as_json)
    if done.header.issuer != services().settings.issuer:
        remark(f"\nThe backup is of {done.header.issuer}, this server is {services().settings.issuer}: clients that know the former have to be "
               "connected anew.")
    if done.missing_secrets[1:] or (done.missing_secrets and done.missing_secrets[0] != done.header.secrets[0]):
        remark(f"\nWhat was still under a previous JWT_SECRET is not known here: {', '.join(done.missing_secrets)}.")
    if not keep_state:
        remark("\nApprovals are as they were then. A client that has refreshed its token since must be approved again.")
    remark(f"What was ended after {moment(done.header.created_at)}, and is known to this server no more, is good again: look into the audit log, "
           "and end it again. Start the server now, or reload it.")


def _described(found: Contents) -> dict[str, Any]:
    header = found.header
    return {"created_at": moment(header.created_at), "release": header.release, "issuer": header.issuer, "registry": header.registry,
            "state": header.state, **found.counts, "secret_fingerprints": header.secrets, "fits_this_server": found.fits}


def _backups() -> Backups:
    return services().backups


def _key(key_file: Path | None) -> str:
    if key_file is None:
        key = services().settings.backup_key
        if not key:
            raise click.ClickException(NO_KEY)
        return str(key)
    try:
        given = key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise click.ClickException(f"{key_file} cannot be read as a key.") from None
    if len(given) < LEAST_CHARACTERS:
        raise click.ClickException(f"{key_file} holds no key: a BACKUP_KEY has at least {LEAST_CHARACTERS} characters.")
    return given


@contextmanager
def _told(action: str, path: Path) -> Iterator[dict[str, Any]]:
    """The audit hears of it, however it ends; the operator reads why it did not work."""
    details: dict[str, Any] = {"file": str(path)}
    try:
        yield details
    except BackupError as error:
        record_failure(action, **details, reason=str(error))
        error_line(str(error))
        unusable = isinstance(error, DamagedBackup | WrongKey | NewerBackup)
        click.get_current_context().exit(UNUSABLE if unusable else FAILED)
    except StoreUnavailable as error:
        record_failure(action, **details, reason=error.detail or error.message)
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        record_failure(action, **details, reason=reason)
        raise click.ClickException(f"{error.filename or path}: {reason}. Nothing was changed.") from None
    record(action, **details)
