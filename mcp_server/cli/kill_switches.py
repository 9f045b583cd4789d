"""Which grants are ended at once: those of a client, of a person, of a ServiceNow instance, or all."""

from __future__ import annotations

from urllib.parse import urlsplit

import click

from mcp_server.cli.client_metadata import instance_origin
from mcp_server.cli.command import services
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


def _hosts(client: Client) -> set[str]:
    return {_host(url) for url in (*client.redirect_uris, client.instance or "")}


def _host(url: str) -> str:
    return urlsplit(url).netloc.lower().removesuffix(":443")
