"""`flask registration-tokens`: what lets its holder register applications (initial access tokens, RFC 7591 §3)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from mcp_server.cli.client_metadata import LONGEST_NAME, instance_origin
from mcp_server.cli.command import Group, by, services
from mcp_server.cli.duration import Duration
from mcp_server.cli.output import as_json, plain, print_record, print_rows, remark
from mcp_server.clock import moment
from mcp_server.oauth.models import InitialAccessToken

registration_tokens = Group("registration-tokens", help="Mint, list and revoke the tokens that let ServiceNow register itself.")


@registration_tokens.command("mint")
@click.option("--name", required=True, help="Who gets it. It stands in the audit log with every registration.")
@click.option("--expires-in", type=Duration(60), default="7d", show_default=True, metavar="TIME", help="For how long it works: 90m, 12h, 7d.")
@click.option("--count", type=click.IntRange(1, 1_000_000), metavar="N", help="How many registrations it is good for. Default: without a count.")
@click.option("--instance", metavar="URL",
              help="Only for this ServiceNow instance, https://INSTANCE.service-now.com: what registers can redirect to no other host.")
@as_json
def mint(*, name: str, expires_in: int, count: int | None, instance: str | None, as_json: bool) -> None:
    """Make a token, and print it once. Only its digest is stored."""
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise click.BadParameter(f"A name has 1 to {LONGEST_NAME} visible characters.", param_hint="--name")
    built = services()
    token, secret = built.administration.mint(
        by(), name=name, expires_in=expires_in, count=count, instance=None if instance is None else instance_origin(instance))
    print_record({"token_id": token.token_id, "name": name, "token": secret, "expires_at": moment(token.expires_at), "uses_left": count,
                  "instance": token.instance}, as_json=as_json, secrets=("token",))
    if not as_json:
        remark('\nIn ServiceNow, at Authentication Token for Client Registration: Header "Authorization", Value "Bearer " and the token.')
    if (mode := built.settings.dcr_mode) != "token":
        remark(f"\nWarning: DCR_MODE is {mode}: " + (
            "nobody can register, with this token either." if mode == "off" else "anyone can register, and no token is asked for."))


@registration_tokens.command("list")
@as_json
def list_tokens(*, as_json: bool) -> None:
    """Show every minted token, newest first, and how many of its clients are still there."""
    built = services()
    clients = Counter(client.registered_with for client in built.clients.all())
    rows = [_shown(token, built.clock()) | {"clients": clients[token.token_id]} for token in built.initial_access_tokens.all()]
    print_rows(rows, ("token_id", "name", "state", "uses_left", "expires_at", "instance", "clients"), as_json=as_json,
               none="No token was minted. DCR_AUTH_TOKEN, from the environment, is not listed here.")


@registration_tokens.command("revoke")
@click.argument("token_id", metavar="ID")
def revoke(token_id: str) -> None:
    """End a token. The clients that it registered stay: flask clients list, flask clients revoke."""
    built = services()
    token = built.administration.end_initial_access_token(token_id, by())
    if token is None:
        raise click.ClickException(f"There is no registration token {token_id!r}. flask registration-tokens list shows those there are.")
    left = [client.client_id for client in built.clients.all() if client.registered_with == token_id]
    remark(f"The registration token of {plain(token.name)} is revoked." + (
        f" The clients that it registered stay: {', '.join(left)}" if left else ""))


def _shown(token: InitialAccessToken, now: float) -> dict[str, Any]:
    expired = token.expires_at is not None and token.expires_at <= now
    return {
        "token_id": token.token_id, "name": token.name, "state": "expired" if expired else "used up" if token.uses_left == 0 else "good",
        "uses_left": token.uses_left, "created_at": moment(token.created_at), "expires_at": moment(token.expires_at), "instance": token.instance,
    }
