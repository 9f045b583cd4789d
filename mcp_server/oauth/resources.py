"""Resource indicators (RFC 8707): we have one resource, and several ways of writing it."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from mcp_server.errors import InvalidTarget


def require_ours(resources: Iterable[str], issuer: str) -> None:
    """Accept our origin, `/mcp` and `/mcp/`, in any case of scheme and host. Raises InvalidTarget for anything else."""
    for resource in resources:
        if _normal(resource) not in (issuer, f"{issuer}/mcp"):
            raise InvalidTarget(f"The resource is not served here. This server issues tokens for {issuer}/mcp only.", detail=resource[:200])


def _normal(resource: str) -> str | None:
    try:
        parts = urlsplit(resource)
        if parts.fragment or parts.query or "#" in resource or "?" in resource or parts.username is not None:
            return None
        return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"
    except ValueError:
        return None
