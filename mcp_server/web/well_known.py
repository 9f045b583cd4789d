"""The discovery documents, under every path that a client may try (RFC 8414 §3, RFC 9728 §3)."""

from __future__ import annotations

from flask import Blueprint, Response

from mcp_server.web.error_handlers import as_json
from mcp_server.web.services import services

bp = Blueprint("well_known", __name__, url_prefix="/.well-known")

FRESH = {"Cache-Control": "public, max-age=300", "Vary": "Origin"}  # flask-cors says so only of some answers, a cache must know of all


@bp.get("/oauth-authorization-server")
@bp.get("/oauth-authorization-server/mcp")
@bp.get("/openid-configuration")
@bp.get("/openid-configuration/mcp")
def authorization_server() -> Response:
    return as_json(200, services().metadata, FRESH)


@bp.get("/oauth-protected-resource")
@bp.get("/oauth-protected-resource/mcp")
def protected_resource() -> Response:
    return as_json(200, services().resource_metadata, FRESH)
