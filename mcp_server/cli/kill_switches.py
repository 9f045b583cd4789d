"""Ending many grants at once: those of a client, of a person, of a ServiceNow instance, or all."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import click

from mcp_server.cli.client_metadata import instance_origin
from mcp_server.cli.command import record, services
from mcp_server.cli.users import existing_user
from mcp_server.oauth.models import Client, Grant


def of_client(client_id: str) -> list[Grant]:
    built = services()
    grants = [grant for grant in built.grants_in_force.all() if grant.client_id == client_id]
    if not grants and built.clients.find(client_id) is None:
        raise click.ClickException(f"There is no client {client_id!r}. flask clients list shows those there are.")
    return grants


def of_user(name: str) -> list[Grant]:
    return services().grants_in_force.of_subject(existing_user(name).user_id)


def of_instance(url: str) -> list[Grant]:
    """Of every client that is bound to this instance, or has a redirect URI there."""
    built, host = services(), _host(instance_origin(url))
    bound = {client.client_id for client in built.clients.all() if host in _hosts(client)}
    return [grant for grant in built.grants_in_force.all() if grant.client_id in bound or _host(grant.redirect_uri or "") == host]


def end(grants: Sequence[Grant], **by: str) -> None:
    """Revoke them, and write down what an operator ended: a record for the command, and one for each grant. `by` says what they had in common."""
    services().grants_in_force.end(grants)
    record("grants_revoked", count=len(grants), **by)
    for grant in grants:
        record("grant_revoked", grant_id=grant.grant_id, client_id=grant.client_id, user_id=grant.subject)


def _hosts(client: Client) -> set[str]:
    return {_host(url) for url in (*client.redirect_uris, client.instance or "")}


def _host(url: str) -> str:
    return urlsplit(url).netloc.lower().removesuffix(":443")
