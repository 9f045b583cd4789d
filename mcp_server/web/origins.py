"""Which pages may call from a browser: the Origin check of MCP, the Host check of a local server, and CORS for the same origins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Response

from mcp_server.errors import OriginRefused

EXPOSED_HEADERS = "WWW-Authenticate, X-Request-ID, Retry-After, Mcp-Session-Id"
ALLOWED_HEADERS = "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, Mcp-Name, Last-Event-ID, X-API-Key"

_LOOPBACK_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


def require_allowed(environ: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """A browser says which page calls; a foreign page must not (DNS rebinding). Raises OriginRefused."""
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and origin not in allowed:
        raise OriginRefused("This origin may not call. Ask the operator to add it to ALLOWED_ORIGINS.", detail=str(origin)[:200])


def require_loopback_host(environ: Mapping[str, Any]) -> None:
    """A page whose name was made to lead to this machine still sends that name as its Host (DNS rebinding). Raises OriginRefused."""
    host = environ.get("HTTP_HOST", "localhost")
    if not _LOOPBACK_HOST.fullmatch(host):
        raise OriginRefused(
            "This server is for clients on its own machine, at localhost. To be reached by another name it needs OAUTH_ISSUER set to the "
            "origin that its clients use.", detail=str(host)[:200])


def add_cors(response: Response, environ: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """On the hot path flask-cors would cost more than the tool; this is the same for one list of origins."""
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        return
    response.headers["Vary"] = "Origin"
    if origin in allowed:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        if environ["REQUEST_METHOD"] == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "POST, GET, DELETE, OPTIONS"
            response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = "600"
