"""After a reload: tells clients what is not as they knew it. A list that changes while the server runs is told by `Changes` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_server.mcp.changes import LISTS, UPDATED
from mcp_server.mcp.ports import Listings
from mcp_server.mcp.resources import digest
from mcp_server.mcp.server import Server

REMEMBERED = 30 * 86400
"""Seconds for which the last start is remembered."""


def announce(server: Server, listings: Listings, now: float) -> None:
    """Called when a worker starts. Of all workers the first one that finds a difference tells it. Raises StoreUnavailable.

    Streams end with the workers that are replaced, so most clients listen again only when it has been told: every worker
    keeps in mind what changed just now, and tells those who begin to listen.
    """
    resources = server.resources.digests()
    lists = {"tools": digest(server.tools.whole), "prompts": digest(server.prompts.definitions), "resources": resources.pop("")}
    found: list[tuple[str, Mapping[str, Any], str, str]] = [(LISTS[f"{name}ListChanged"], {}, f"list:{name}", value) for name, value in lists.items()]
    found += [(UPDATED, {"uri": uri}, f"resource:{uri}", value) for uri, value in resources.items()]
    for method, params, name, value in found:
        seen = listings.see(name, value, until=now + REMEMBERED, now=now)
        if seen.changed_at is not None:
            server.changes.keep_in_mind(method, params, seen.changed_at)
        if seen.first:
            server.changes.publish(method, params)
