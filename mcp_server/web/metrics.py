"""/metrics, for the operator's Prometheus alone."""

from __future__ import annotations

import hmac
from ipaddress import ip_address, ip_network

from flask import Blueprint, Response, request

from mcp_server.concurrency import in_real_thread
from mcp_server.errors import MetricsRefused
from mcp_server.metrics import CONTENT_TYPE
from mcp_server.web.services import Services, services

bp = Blueprint("metrics", __name__)


@bp.get("/metrics")
def metrics() -> Response:
    built = services()
    if not (_knows_the_token(built) or _comes_from_an_allowed_network(built)):
        raise MetricsRefused("The metrics are for the networks in METRICS_ALLOW, or for who sends METRICS_TOKEN as a bearer token.")
    return Response(in_real_thread(built.metrics.exposition), content_type=CONTENT_TYPE)


def _knows_the_token(built: Services) -> bool:
    token = built.settings.metrics_token
    return token is not None and hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode())


def _comes_from_an_allowed_network(built: Services) -> bool:
    """By the address that a trusted proxy tells: what comes through a tunnel is not local."""
    address = ip_address(built.client_address.of(request.environ))
    return any(address in ip_network(network) for network in built.settings.metrics_allow)
