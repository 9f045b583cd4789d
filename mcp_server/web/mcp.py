"""The MCP endpoint: the message, out of HTTP. One pass, because this is the path that every tool call takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from mcp_server.audit import RequestFacts, current_request
from mcp_server.deadline import Deadline
from mcp_server.errors import InvalidToken, TokenRequired
from mcp_server.mcp import jsonrpc
from mcp_server.mcp.dispatcher import Reply
from mcp_server.principal import Principal
from mcp_server.web import bodies, error_handlers, origins
from mcp_server.web.bearer import REFUSED
from mcp_server.web.client_address import counted_as
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import Services, services

bp = Blueprint("mcp", __name__)
error_handlers.init_mcp(bp)


@bp.route("/mcp", methods=EVERY, strict_slashes=False)
@bp.route("/mcp/", methods=EVERY, strict_slashes=False)
@only("POST")
def mcp() -> ResponseReturnValue:
    built, environ = services(), request.environ
    origins.require_allowed(environ, built.allowed_origins)
    facts = current_request.get() or RequestFacts("")
    principal = _authenticate(built, environ, facts)
    if principal is None and not _may_come_without_a_token(built, environ):
        raise TokenRequired("This endpoint needs an access token: see resource_metadata in the WWW-Authenticate header.")
    bodies.require_json(request, "the message")
    message = jsonrpc.parse(bodies.read(request, bodies.MOST_JSON))
    if isinstance(message, list):
        _count_the_others(built, principal, len(message) - 1)
    reply = built.dispatcher.dispatch(
        message, principal, environ.get("HTTP_MCP_PROTOCOL_VERSION"), Deadline.after(built.settings.llm_timeout))
    facts.method, facts.tool = reply.method, reply.tool
    if reply.is_error:
        facts.extra["mcp_error"] = reply.error_code or "isError"
    return _on_the_wire(reply, environ)


def _authenticate(built: Services, environ: Mapping[str, Any], facts: RequestFacts) -> Principal | None:
    """Who calls, if they may: verified, not revoked, within the limit. A failed attempt counts against the address."""
    try:
        principal = built.bearer.principal(environ)
    except InvalidToken:
        _count_address(built, facts)
        built.audit.record("security", "authentication_failed", "denied", resource="mcp")
        raise
    if principal is None:
        _count_address(built, facts)
        return None
    facts.client_id, facts.user_id = principal.client_id, principal.subject
    if not built.revocations.admit(principal.revocable_ids, f"mcp:{principal.client_id}", built.mcp_limit):
        built.audit.record("security", "revoked_token_used", "denied", token_id=principal.token_id)
        raise InvalidToken(REFUSED, detail="revoked")
    return principal


def _count_address(built: Services, facts: RequestFacts) -> None:
    built.revocations.admit((), f"mcp:{counted_as(facts.source_ip)}", built.mcp_limit)


def _count_the_others(built: Services, principal: Principal | None, more: int) -> None:
    """A batch is as many requests as it has messages."""
    for _ in range(more if principal is not None else 0):
        built.revocations.admit((), f"mcp:{principal.client_id}" if principal else "", built.mcp_limit)


def _may_come_without_a_token(built: Services, environ: Mapping[str, Any]) -> bool:
    """Whether the body is worth reading.

    Three real clients break when `initialize` succeeds and the challenge comes later, and all of them offer
    text/event-stream; the guide's own check by curl does not.
    """
    mode = built.settings.mcp_open_initialize
    return mode == "always" or (mode == "auto" and "text/event-stream" not in environ.get("HTTP_ACCEPT", ""))


def _on_the_wire(reply: Reply, environ: Mapping[str, Any]) -> Response:
    if reply.body is None:
        return Response(status=reply.status)
    accept = environ.get("HTTP_ACCEPT", "")
    if reply.status == 200 and "text/event-stream" in accept and "json" not in accept and "*/*" not in accept:  # noqa: PLR2004
        return Response(b"event: message\ndata: " + reply.body + b"\n\n", mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
    return Response(reply.body, reply.status, content_type="application/json")
