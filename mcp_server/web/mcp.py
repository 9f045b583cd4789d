"""The MCP endpoint: the message, out of HTTP. One pass, because this is the path that every tool call takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed

from mcp_server.audit import RequestFacts, current_request
from mcp_server.clock import elapsed
from mcp_server.concurrency import pause
from mcp_server.deadline import Deadline
from mcp_server.errors import InvalidToken, TokenRequired
from mcp_server.mcp import jsonrpc
from mcp_server.mcp.dispatcher import Delivery, Reply, progress_token
from mcp_server.mcp.eras import HANDSHAKE_VERSIONS, era_of
from mcp_server.mcp.jsonrpc import Batch, Message, Request
from mcp_server.mcp.methods.subscriptions import listen_in_session
from mcp_server.mcp.sessions import Session
from mcp_server.mcp.streams import StreamLog, resumed
from mcp_server.principal import Principal
from mcp_server.web import bodies, error_handlers, origins, streaming
from mcp_server.web.bearer import REFUSED
from mcp_server.web.client_address import counted_as
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import Services, services
from mcp_server.web.streaming import Exchange, Listener

bp = Blueprint("mcp", __name__)
error_handlers.init_mcp(bp)


@bp.route("/mcp", methods=EVERY, strict_slashes=False)
@bp.route("/mcp/", methods=EVERY, strict_slashes=False)
@only("POST", "GET", "DELETE")
def mcp() -> ResponseReturnValue:
    built, environ = services(), request.environ
    origins.require_allowed(environ, built.allowed_origins)
    if built.local:
        origins.require_loopback_host(environ)
    posted = environ["REQUEST_METHOD"] == "POST"
    if not posted and ("HTTP_MCP_SESSION_ID" not in environ or environ["REQUEST_METHOD"] == "HEAD"):
        raise MethodNotAllowed(["POST"])
    facts = current_request.get() or RequestFacts("")
    principal = _authenticate(built, environ, facts)
    if not posted:
        return _about_a_session(built, environ, principal, facts)
    if principal is None and not _may_come_without_a_token(built, environ):
        raise TokenRequired("This endpoint needs an access token: see resource_metadata in the WWW-Authenticate header.")
    bodies.require_json(request, "the message")
    message = jsonrpc.parse(bodies.read(request, bodies.MOST_JSON))
    if isinstance(message, list):
        _count_the_others(built, principal, len(message) - 1)
    era = era_of(environ.get("HTTP_MCP_PROTOCOL_VERSION"), message)
    deadline = Deadline.after(built.settings.llm_timeout, caller=principal.client_id if principal else "")
    delivery = Delivery(principal, deadline, era, _headers(environ))
    if "HTTP_MCP_SESSION_ID" in environ and not era.stateless:
        delivery.session = built.mcp_server.sessions.find(environ["HTTP_MCP_SESSION_ID"], principal)
    if built.dispatcher.at_once(message):
        return _on_the_wire(built.dispatcher.dispatch(message, delivery), environ, facts)
    return _beside(built, message, delivery, environ, facts)


def _beside(built: Services, message: Message | Batch, delivery: Delivery, environ: Mapping[str, Any], facts: RequestFacts) -> Response:
    """The answer to what may take a while."""
    session = delivery.session
    log = StreamLog(built.journals, session, built.clock) if session is not None and session.resumable else None
    exchange = delivery.outlet = Exchange(log, lost_means_cancelled=log is None)
    listener = _listener(built, environ, facts, delivery.principal, primed=session is not None and session.primed)
    if listener.streams and isinstance(message, Request) and progress_token(message) is not None:
        delivery.deadline = Deadline.after(built.settings.llm_stream_timeout, caller=delivery.deadline.caller)
    answered = streaming.answer(exchange, lambda: _within(built, message, delivery), listener)
    return _on_the_wire(answered, environ, facts) if isinstance(answered, Reply) else answered


def _within(built: Services, message: Message | Batch, delivery: Delivery) -> Reply:
    """Dispatch it where its deadline is known, so that a worker that stops can bring it forward."""
    built.deadlines.append(delivery.deadline)
    try:
        return built.dispatcher.dispatch(message, delivery)
    finally:
        built.deadlines.remove(delivery.deadline)


def _listener(built: Services, environ: Mapping[str, Any], facts: RequestFacts, principal: Principal | None, *, primed: bool) -> Listener:
    def still_admitted() -> bool:
        return principal is None or not built.revocations.known_to_be_revoked(principal.revocable_ids)

    def ended(how: str, reply: Reply | None) -> None:
        _tell(facts, reply)
        built.write_access_line({
            "event": "stream", "request_id": facts.request_id, "ended": how, "duration_ms": round((elapsed() - facts.began) * 1000, 2),
            "client_id": facts.client_id, "user_id": facts.user_id, "mcp_method": facts.method, "tool": facts.tool, **facts.extra})

    return Listener(environ.get("gunicorn.socket"), "text/event-stream" in environ.get("HTTP_ACCEPT", ""), primed, still_admitted, ended)


def _about_a_session(built: Services, environ: Mapping[str, Any], principal: Principal | None, facts: RequestFacts) -> ResponseReturnValue:
    """GET listens to what changes, or takes a stream up again; DELETE ends the session. Without a session there is nothing of either."""
    if principal is None:
        raise TokenRequired("This endpoint needs an access token: see resource_metadata in the WWW-Authenticate header.")
    version = environ.get("HTTP_MCP_PROTOCOL_VERSION")
    session = built.mcp_server.sessions.find(environ.get("HTTP_MCP_SESSION_ID"), principal) if version in (None, *HANDSHAKE_VERSIONS) else None
    if session is None:
        raise MethodNotAllowed(["POST"])
    if environ["REQUEST_METHOD"] == "DELETE":
        built.mcp_server.sessions.store.end(session.name, session.until)
        return Response(status=204)
    if "HTTP_LAST_EVENT_ID" in environ:
        return _taken_up_again(built, environ, session)
    listener = _listener(built, environ, facts, principal, primed=False)
    return streaming.stream(Exchange(), lambda outlet: listen_in_session(built.mcp_server, principal, session, outlet), listener)


def _taken_up_again(built: Services, environ: Mapping[str, Any], session: Session) -> ResponseReturnValue:
    found = resumed(environ["HTTP_LAST_EVENT_ID"], built.journals, session, built.clock)
    if found is None:
        raise MethodNotAllowed(["POST", "DELETE"])
    return Response(streaming.replay(*found, pause), 200, streaming.HEADERS, mimetype="text/event-stream")


def _headers(environ: Mapping[str, Any]) -> Callable[[str], str | None]:
    return lambda name: environ.get(f"HTTP_{name.upper().replace('-', '_')}")


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


def _tell(facts: RequestFacts, reply: Reply | None) -> None:
    """What the log may say of the answer."""
    if reply is not None:
        facts.method, facts.tool = reply.method, reply.tool
        if reply.is_error:
            facts.extra["mcp_error"] = reply.error_code or "isError"


def _on_the_wire(reply: Reply, environ: Mapping[str, Any], facts: RequestFacts) -> Response:
    _tell(facts, reply)
    if reply.body is None:
        return Response(status=reply.status)
    accept = environ.get("HTTP_ACCEPT", "")
    if reply.status == 200 and "text/event-stream" in accept and "json" not in accept and "*/*" not in accept:  # noqa: PLR2004
        response = Response(streaming.event(reply.body), mimetype="text/event-stream", headers=streaming.HEADERS)
    else:
        response = Response(reply.body, reply.status, content_type="application/json")
    if reply.session_id is not None:
        response.headers["Mcp-Session-Id"] = reply.session_id
    return response
