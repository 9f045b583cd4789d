"""Which pages may call from a browser: the Origin check of MCP, and CORS for the same origins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from mcp_server.errors import OriginRefused

EXPOSED_HEADERS = "WWW-Authenticate, X-Request-ID, Retry-After, Mcp-Session-Id"
ALLOWED_HEADERS = "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, Mcp-Name, Last-Event-ID, X-API-Key"


def require_allowed(environ: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """A browser says which page calls; a foreign page must not (DNS rebinding). Raises OriginRefused."""
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and origin not in allowed:
        raise OriginRefused("This origin may not call. Ask the operator to add it to ALLOWED_ORIGINS.", detail=str(origin)[:200])


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
