"""`flask clients`: the applications that may ask for tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mcp_server.cli import client_metadata
from mcp_server.cli.command import Group, by, record, services
from mcp_server.cli.duration import Duration
from mcp_server.cli.output import as_json, plain, print_json, print_record, print_rows, remark, table
from mcp_server.clock import in_words, moment
from mcp_server.oauth import client_id_urls
from mcp_server.oauth.credentials import new_id, new_secret
from mcp_server.oauth.models import DEVICE_CODE, Client
from mcp_server.web import form_values

DEFAULT_GRANTS = ("authorization_code", "refresh_token")
NO_PKCE = ("PKCE is not required of this client. Whoever intercepts a code still needs the client secret, but turn PKCE on again once "
           "ServiceNow's OAuth record has Public Client ticked and the code challenge method S256: flask clients update ID --pkce")

clients = Group("clients", help="Register, list and revoke applications.")


@clients.command("create")
@click.option("--name", required=True, help="What the person who approves will read.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, metavar="URL", help="Where codes may be sent; compared exactly. May be repeated.")
@click.option("--servicenow", "instances", multiple=True, metavar="URL",
              help="A ServiceNow instance, https://INSTANCE.service-now.com: adds /oauth_redirect.do and /mcp_redirect.do.")
@click.option("--grant", "--grant-type", "grants", multiple=True, metavar="GRANT",
              help=f"A grant type; device_code for short. May be repeated. Default: {', '.join(DEFAULT_GRANTS)}.")
@click.option("--public", is_flag=True, help="Without a secret: for a program on people's own machines.")
@click.option("--jwks", type=click.Path(path_type=Path), metavar="FILE",
              help="The client's public keys, a JWK set: it signs assertions (Private Key JWT) and has no secret.")
@click.option("--jwks-uri", metavar="URL", help="Where the client publishes its public keys, instead of --jwks.")
@click.option("--no-pkce", is_flag=True,
              help="Do not require PKCE. Only for a client with a secret, such as ServiceNow without Public Client ticked.")
@click.option("--scope", help="What it may ask for, comma separated. Default: everything.")
@as_json
def create(*, name: str, redirect_uris: Sequence[str], instances: Sequence[str], grants: Sequence[str], public: bool, jwks: Path | None,
           jwks_uri: str | None, no_pkce: bool, scope: str | None, as_json: bool) -> None:
    """Register a client by hand, and print what is typed into ServiceNow's Manual Registration form."""
    built = services()
    keys = client_metadata.keys_from(jwks, jwks_uri)
    if public and keys:
        raise click.UsageError("A public client proves nothing: leave out --public, or the keys.")
    secret = None if public or keys else new_secret()
    client = client_metadata.client(
        client_id=new_id(), created_at=float(int(built.clock())), name=name, redirect_uris=redirect_uris, instances=instances,
        grants=grants or DEFAULT_GRANTS, served=built.metadata["grant_types_supported"], scope=scope, pkce_required=not no_pkce,
        client_secret_digest=None if secret is None else built.digests.digest("client", secret), keys=keys)
    built.clients.add(client)
    record("client_created", client_id=client.client_id, client_name=client.client_name, redirect_uris=list(client.redirect_uris),
           pkce_required=client.pkce_required)
    for_a_device = DEVICE_CODE in client.grant_types and not client.redirect_uris
    form = (form_values.device if for_a_device else form_values.manual_registration)(built, client, secret)
    if as_json:
        print_json(_shown(client) | {"client_secret": secret, "form": form})
    else:
        where = "Configure the machine with:" if for_a_device else "In ServiceNow choose Manual Registration and type:"
        click.echo(f"Registered {plain(client.client_name)}. {where}\n")
        print_record(form, as_json=False, secrets=("Client Secret",))
    if no_pkce:
        remark(f"\nWarning: {NO_PKCE.replace(' ID ', f' {client.client_id} ')}")


@clients.command("list")
@as_json
def list_clients(*, as_json: bool) -> None:
    """Show every registered client, newest first."""
    rows = [_shown(client) for client in services().clients.all()]
    print_rows(rows, ("client_id", "client_name", "kind", "origin", "pkce_required", "created_at"), as_json=as_json,
               none="There is no client yet. ServiceNow registers itself (flask servicenow connect), or: flask clients create --help")


@clients.command("show")
@click.argument("client_id", metavar="ID")
@as_json
def show(client_id: str, *, as_json: bool) -> None:
    """Show one client, and its approvals that are in force."""
    built, client = services(), _existing(client_id)
    grants = [{"grant_id": grant.grant_id, "subject": grant.subject, "scope": grant.scope, "expires_at": moment(grant.expires_at)}
              for grant in built.grants_in_force.all() if grant.client_id == client_id]
    shown = _shown(client)
    if as_json:
        print_json(shown | {"grants": grants})
        return
    print_record(shown, as_json=False)
    if grants:
        click.echo("")
        table([["GRANT ID", "SUBJECT", "SCOPE", "EXPIRES AT"], *([plain(value) for value in grant.values()] for grant in grants)])


@clients.command("revoke")
@click.argument("client_id", metavar="ID")
def revoke(client_id: str) -> None:
    """Remove a client, and end all of its tokens at once. A client that a URL names is shut out for as long as its tokens could last."""
    if client_id_urls.is_url(client_id):
        _shut_out(client_id)
        return
    client = _existing(client_id)
    services().administration.remove_client(client, by())
    remark(f"{plain(client.client_name)} is removed, and all of its tokens are revoked.")


def _shut_out(client_id: str) -> None:
    """There is nothing to remove: it describes itself elsewhere."""
    until = services().administration.shut_out(client_id, by())
    host = client_id_urls.host_of(client_id)
    remark(f"All tokens of {client_id} are revoked, and it is refused until {moment(until)}. To refuse all clients of {host} for good, take it out "
           "of CIMD_ALLOWED_DOMAINS and reload the server.")


@clients.command("sweep")
@click.option("--older-than", type=Duration(86400), default="30d", show_default=True, metavar="TIME",
              help="Leave every client that was made or got a token within this time, at least 1d.")
@click.option("--dry-run", is_flag=True, help="Show them only.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def sweep(*, older_than: int, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove the registrations that nobody needs any more.

    ServiceNow registers anew at every connection, as AutoGen-NUMBER-OAuthProvider. This finds the clients that registered
    themselves, have no approval in force and were not used lately. Clients made by an operator are never touched.
    """
    administration = services().administration
    found = administration.stale_clients(older_than)
    rows = [{"client_id": client.client_id, "client_name": client.client_name, "created_at": moment(client.created_at),
             "last_used_at": moment(client.last_used_at)} for client in found]
    print_rows(rows, ("client_id", "client_name", "created_at", "last_used_at"), as_json=as_json,
               none=f"No client is stale: each has an approval in force, or was made or used within {in_words(older_than)}.")
    if dry_run or not found:
        return
    if not yes:
        click.confirm(f"Remove these {len(found)} clients?", abort=True, err=True)
    still = {client.client_id for client in administration.stale_clients(older_than)}  # somebody may have connected while the question stood
    removed = [client for client in found if client.client_id in still and administration.sweep(client, older_than, by())]
    remark(f"{len(removed)} removed." + (f" {len(found) - len(removed)} left: in use again, or gone." if len(removed) < len(found) else ""))


@clients.command("rotate-secret")
@click.argument("client_id", metavar="ID")
@click.option("--keep-old", is_flag=True, help="The former secret works too, until flask clients update ID --drop-old-secret.")
@as_json
def rotate_secret(client_id: str, *, keep_old: bool, as_json: bool) -> None:
    """Give a client another secret, and print it once. Its tokens stay valid."""
    client = _existing(client_id)
    if not client.client_secret_digests:
        raise click.ClickException(f"This client {'proves itself with a key' if client.has_keys else 'is public'}: it has no secret.")
    secret = services().administration.rotate_secret(client, by(), keep_old=keep_old)
    if secret is None:
        raise _gone(client_id)
    print_record({"client_id": client_id, "client_secret": secret, "secrets_in_force": 1 + keep_old}, as_json=as_json, secrets=("client_secret",))
    if keep_old:
        remark(f"\nThe former secret still works. When ServiceNow has the new one: flask clients update {client_id} --drop-old-secret")


@clients.command("update")
@click.argument("client_id", metavar="ID")
@click.option("--pkce/--no-pkce", "pkce", default=None, help="Whether PKCE is required. --no-pkce only for a client with a secret.")
@click.option("--drop-old-secret", is_flag=True, help="End the overlap that rotate-secret --keep-old began: the newest secret alone works.")
@click.option("--jwks", type=click.Path(path_type=Path), metavar="FILE", help="Replace the public keys of a client that signs assertions.")
@click.option("--jwks-uri", metavar="URL", help="The same, by where it publishes them.")
@as_json
def update(client_id: str, *, pkce: bool | None, drop_old_secret: bool, jwks: Path | None, jwks_uri: str | None, as_json: bool) -> None:
    """Change what is required of a client."""
    client, keys = _existing(client_id), client_metadata.keys_from(jwks, jwks_uri)
    if pkce is None and not drop_old_secret and not keys:
        raise click.UsageError("Say what to change: --pkce, --no-pkce, --drop-old-secret, --jwks or --jwks-uri.")
    if keys:
        if not client.has_keys:
            raise click.UsageError("This client has no keys to replace. Create another one: flask clients create --jwks FILE.")
        client = replace(client, metadata={name: value for name, value in client.metadata.items() if name not in ("jwks", "jwks_uri")} | keys)
    if pkce is not None:
        client_metadata.require_pkce_of_public(public=not client.confidential, pkce_required=pkce)
        client = replace(client, pkce_required=pkce)
    if drop_old_secret:
        client = replace(client, client_secret_digests=client.client_secret_digests[:1])
    _replace(client)
    record("client_updated", client_id=client_id, pkce_required=client.pkce_required, secrets_in_force=len(client.client_secret_digests))
    print_record(_shown(client), as_json=as_json)
    if pkce is False:
        remark(f"\nWarning: {NO_PKCE.replace(' ID ', f' {client_id} ')}")


def _existing(client_id: str) -> Client:
    client = services().clients.find(client_id)
    if client is None and client_id_urls.is_url(client_id):
        raise click.ClickException("A client that a URL names is not registered here: there is nothing to show and nothing to change. "
                                   "flask tokens list shows its approvals, and flask clients revoke shuts it out.")
    if client is None:
        raise click.ClickException(f"There is no client {client_id!r}. flask clients list shows those there are.")
    return client


def _replace(client: Client) -> None:
    if not services().clients.replace(client):
        raise _gone(client.client_id)


def _gone(client_id: str) -> click.ClickException:
    return click.ClickException(f"There is no client {client_id!r} any more.")


def _shown(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.client_id, "client_name": client.client_name, "kind": "confidential" if client.confidential else "public",
        "origin": client.origin, "created_at": moment(client.created_at), "redirect_uris": list(client.redirect_uris),
        "grant_types": list(client.grant_types), "scope": client.scope, "token_endpoint_auth_method": client.token_endpoint_auth_method,
        "pkce_required": client.pkce_required, "secrets_in_force": len(client.client_secret_digests),
        "registered_with": client.registered_with, "instance": client.instance, "last_used_at": moment(client.last_used_at),
        "client_uri": client.metadata.get("client_uri"), "jwks_uri": client.metadata.get("jwks_uri"),
        "key_ids": [key.get("kid") for key in client.metadata.get("jwks", {}).get("keys", ())],
    }
