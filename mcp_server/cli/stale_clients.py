"""Which registrations nobody needs any more: ServiceNow registers anew whenever somebody connects, and never takes the old one back."""

from __future__ import annotations

import re

from mcp_server.cli.command import services
from mcp_server.oauth.models import Client
from mcp_server.oauth.token_endpoint import TOUCHED_EVERY

_AUTOMATIC = re.compile(r"AutoGen-[0-9]+-OAuthProvider")


def stale_clients(older_than: int) -> list[Client]:
    """Those that registered themselves, have no approval in force, and were neither made nor used for so many seconds."""
    since, in_use = unused_since(older_than), _clients_with_a_grant()
    return [client for client in services().clients.all()
            if _registered_itself(client) and client.client_id not in in_use and max(client.created_at, client.last_used_at or 0.0) < since]


def unused_since(older_than: int) -> float:
    """`last_used_at` may be an hour behind the last use."""
    return services().clock() - older_than - TOUCHED_EVERY


def _registered_itself(client: Client) -> bool:
    """What an operator made stays until an operator ends it. Imported ones are ServiceNow's own when they are named so."""
    return client.origin == "registration" or (client.origin == "import" and _AUTOMATIC.fullmatch(client.client_name) is not None)


def _clients_with_a_grant() -> set[str]:
    return {grant.client_id for grant in services().grants_in_force.all()}
