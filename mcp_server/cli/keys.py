"""`flask keys`: the key pairs that sign access tokens when JWT_ALGORITHM is ES256."""

from __future__ import annotations

from typing import Any

import click

from mcp_server.cli.command import Group, TakesTokens, record, services
from mcp_server.cli.output import as_json, plain, print_json, print_record, print_rows, remark
from mcp_server.clock import moment
from mcp_server.oauth.key_records import KEPT, PUBLISHED_FIRST, signing
from mcp_server.oauth.models import SigningKey

NOT_USED = "JWT_ALGORITHM is HS256: no key of this list signs until it is ES256."

KEPT_OUT = 400 * 86400
"""Seconds for which no backup that is restored brings a removed key back: longer than anybody keeps one."""

keys = Group("keys", help="List, rotate and remove the keys that sign access tokens (JWT_ALGORITHM=ES256).")


@keys.command("list")
@as_json
def list_keys(*, as_json: bool) -> None:
    """Show every key, newest first: which signs, which waits, which only verifies."""
    print_rows(_rows(), ("kid", "state", "created_at", "signs_from", "retired_at", "removed_at"), as_json=as_json,
               none="There is no key yet. python -m mcp_server.prepare makes the first one when JWT_ALGORITHM is ES256, or: flask keys rotate")
    _remark_when_unused()


@keys.command("rotate")
@as_json
def rotate(*, as_json: bool) -> None:
    """Make a new key. It is published now, and signs once everybody has seen it; what the others signed stays valid.

    Keys that are encrypted under a previous JWT_SECRET are encrypted under the current one.
    """
    made = services().key_records.rotate()
    record("signing_key_rotated", kid=made.kid, algorithm=made.algorithm)
    print_record(next(row for row in _rows() if row["kid"] == made.kid), as_json=as_json)
    remark(f"\nIt signs in {PUBLISHED_FIRST} seconds at the latest. If others came to know a former key, end its tokens now: flask keys remove KID")
    _remark_when_unused()


@keys.command("remove", cls=TakesTokens)
@click.argument("kid", metavar="KID")
def remove(kid: str) -> None:
    """Remove a key. All access tokens that it signed end within seconds; a refresh gets others."""
    built = services()
    known = built.key_records.all()
    if kid not in {each.kid for each in known}:
        raise click.ClickException(f"There is no key {kid!r}. flask keys list shows those there are.")
    remaining = [each for each in built.key_records.readable() if each.kid != kid and each.retired_at is None]
    if built.signing_keys.published and not remaining:
        raise click.ClickException("No other key could sign then. First make one: flask keys rotate")
    if not built.key_records.remove(kid):
        raise click.ClickException(f"There is no key {kid!r} any more.")
    built.revocations.revoke((f"key:{kid}",), built.clock() + KEPT_OUT)
    record("signing_key_removed", kid=kid)
    remark(f"The key {plain(kid)} is removed. What it signed is refused within seconds.")


@keys.command("rewrap")
@as_json
def rewrap(*, as_json: bool) -> None:
    """Encrypt the keys under the current JWT_SECRET, so that the previous one can be dropped."""
    changed = services().key_records.rewrap()
    if changed:
        record("signing_keys_rewrapped", kids=changed)
    unreadable = [row["kid"] for row in _rows() if row["state"] == "unreadable"]
    if as_json:
        print_json({"rewrapped": changed, "unreadable": unreadable})
        return
    remark(f"{len(changed)} keys were encrypted anew." + (f" {len(unreadable)} cannot be read: {', '.join(unreadable)}." if unreadable else ""))


def _rows() -> list[dict[str, Any]]:
    built = services()
    records, readable = built.key_records.all(), built.key_records.readable()
    now = built.clock()
    signer = signing(readable, now) if built.signing_keys.published else None
    return [{
        "kid": each.kid, "algorithm": each.algorithm, "state": _state(each, signer, now, readable=each in readable),
        "created_at": moment(each.created_at), "signs_from": moment(each.created_at + PUBLISHED_FIRST), "retired_at": moment(each.retired_at),
        "removed_at": moment(None if each.retired_at is None else each.retired_at + KEPT),
    } for each in records]


def _state(key: SigningKey, signer: SigningKey | None, now: float, *, readable: bool) -> str:
    if not readable:
        return "unreadable"
    if key == signer:
        return "signs"
    return "waits" if key.retired_at is None or key.retired_at > now else "verifies"


def _remark_when_unused() -> None:
    if not services().signing_keys.published:
        remark(NOT_USED)
