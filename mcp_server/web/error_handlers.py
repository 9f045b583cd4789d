"""The edge: where a failure gets its form on the wire. Nothing else chooses a status or writes an error body.

JSON-RPC under /mcp, RFC 6749 under the OAuth paths, a page for a browser, and a short JSON object elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from config import logs
from mcp_server.audit import current_request
from mcp_server.errors import (
    BearerError,
    DependencyUnavailable,
    GatewayError,
    InvalidClient,
    InvalidInitialAccessToken,
    InvalidRegistrationAccessToken,
    OAuthError,
    RateLimitExceeded,
    RequestRefused,
    SignInFailed,
)
from mcp_server.oauth import redirect_uris
from mcp_server.web.bearer import challenge
from mcp_server.web.services import services

log = logs.get("web")

JSON_RPC_CODES: Mapping[int, int] = {400: -32600, 401: -32001, 403: -32001, 404: -32601, 405: -32600, 408: -32600, 413: -32600, 415: -32600,
                                     429: -32000, 503: -32603}
"""What HTTP refuses before there is a JSON-RPC answer. -32000 and -32001 are those of the guide."""

FOR_PROGRAMS = frozenset({
    "oauth.register", "oauth.registered_client", "oauth.token", "oauth.device_authorization", "oauth.revoke", "oauth.introspect", "oauth.jwks"})

UNEXPECTED = "The server failed. The failure is logged under this request id; tell it to the operator."


def as_json(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, mimetype="application/json")


def init_mcp(blueprint: Blueprint) -> None:
    """JSON-RPC errors for what HTTP refuses under /mcp."""

    @blueprint.errorhandler(GatewayError)
    def refused(error: GatewayError) -> Response:
        _log(error)
        headers = _headers(error)
        if isinstance(error, BearerError):
            headers["WWW-Authenticate"] = challenge(error, services().settings.issuer)
        return _json_rpc(_status(error), error.message, headers)

    @blueprint.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        return _json_rpc(error.code or 500, error.description or error.name, _allow(error))

    @blueprint.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        _log_unexpected(error)
        return _json_rpc(500, UNEXPECTED, {})


def init_oauth(blueprint: Blueprint) -> None:
    """RFC 6749 errors for clients, pages for people, redirects where they are permitted."""

    @blueprint.errorhandler(OAuthError)
    def oauth(error: OAuthError) -> ResponseReturnValue:
        _log(error)
        if error.redirect_to is not None:
            return redirect(redirect_uris.location(
                error.redirect_to, services().settings.issuer, error=error.error, error_description=_printable(error.message)), 302)
        if _wants_page():
            return page(error.status if error.status != 401 else 400, "The request cannot be answered", error.message, error.error)  # noqa: PLR2004
        return as_json(error.status, _oauth_body(error.error, error.message), _oauth_headers(error))

    @blueprint.errorhandler(GatewayError)
    def refused(error: GatewayError) -> ResponseReturnValue:
        _log(error)
        if _wants_page():
            title = _title(error)
            return page(_status(error), title, error.message, headers=_headers(error), again=getattr(error, "again", None))
        code = error.error if isinstance(error, RequestRefused) else "temporarily_unavailable"
        return as_json(_status(error), _oauth_body(code, error.message), _headers(error))

    @blueprint.errorhandler(HTTPException)
    def http(error: HTTPException) -> ResponseReturnValue:
        if _wants_page():
            return page(error.code or 500, error.name, error.description or "", headers=_allow(error))
        return as_json(error.code or 500, _oauth_body("invalid_request", error.description or error.name), _allow(error))

    @blueprint.errorhandler(Exception)
    def unexpected(error: Exception) -> ResponseReturnValue:
        _log_unexpected(error)
        if _wants_page():
            return page(500, "The server failed", UNEXPECTED)
        return as_json(500, _oauth_body("server_error", UNEXPECTED))


def init_app(app: Flask) -> None:
    """Everything else: {"error", "request_id", "timestamp"}, or a page for a browser."""
    app.url_map.merge_slashes = False  # `//oauth//token` is not found: Werkzeug would redirect to whatever the Host header says

    @app.errorhandler(GatewayError)
    def refused(error: GatewayError) -> ResponseReturnValue:
        _log(error)
        return _elsewhere(_status(error), error.message, _headers(error))

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> ResponseReturnValue:
        return _elsewhere(error.code or 500, error.name, _allow(error))

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> ResponseReturnValue:
        _log_unexpected(error)
        return _elsewhere(500, UNEXPECTED, {})


def page(
    status: int, title: str, text: str, code: str = "", headers: Mapping[str, str] | None = None, *, again: str | None = None,
) -> ResponseReturnValue:
    """An error as a person reads it: what happened and what to do, with the request id for the operator."""
    facts = current_request.get()
    return render_template("error.html", title=title, text=text, code=code, again=again, request_id=facts.request_id if facts else ""), status, {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        **(headers or {})}


def _elsewhere(status: int, text: str, headers: Mapping[str, str]) -> ResponseReturnValue:
    if _wants_page():
        return page(status, text, "", headers=headers)
    facts = current_request.get()
    return as_json(status, {"error": text, "request_id": facts.request_id if facts else None,
                            "timestamp": datetime.fromtimestamp(services().clock(), UTC).isoformat()}, headers)


def _json_rpc(status: int, text: str, headers: Mapping[str, str]) -> Response:
    return as_json(status, {"jsonrpc": "2.0", "id": None, "error": {"code": JSON_RPC_CODES.get(status, -32603), "message": text}}, headers)


def _oauth_body(code: str, text: str) -> dict[str, str]:
    return {"error": code, "error_description": _printable(text)}


def _printable(text: str) -> str:
    """ASCII without quotes and backslashes (RFC 6749 §5.2)."""
    return "".join(letter if " " <= letter <= "~" and letter not in '"\\' else "'" if letter == '"' else "?" for letter in text)


def _status(error: GatewayError) -> int:
    if isinstance(error, BearerError | RequestRefused | DependencyUnavailable | OAuthError):
        return error.status
    return 500


def _title(error: GatewayError) -> str:
    if isinstance(error, SignInFailed):
        return "You are not signed in"
    return "Not now" if isinstance(error, DependencyUnavailable) else "The request cannot be answered"


def _headers(error: GatewayError) -> dict[str, str]:
    if isinstance(error, RateLimitExceeded | DependencyUnavailable):
        return {"Retry-After": str(error.retry_after)}
    return {}


def _oauth_headers(error: OAuthError) -> dict[str, str]:
    if isinstance(error, InvalidClient) and "Authorization" in request.headers:
        return {"WWW-Authenticate": 'Basic realm="token endpoint"'}
    if isinstance(error, InvalidInitialAccessToken | InvalidRegistrationAccessToken):
        return {"WWW-Authenticate": f'Bearer error="{error.error}", error_description="{_printable(error.message)}"'}
    return {}


def _allow(error: HTTPException) -> dict[str, str]:
    methods = getattr(error, "valid_methods", None)
    return {"Allow": ", ".join(sorted(methods))} if methods else {}


def _wants_page() -> bool:
    """A browser's request. Java's own HTTP client says it accepts text/html too, so what programs call never answers with a page."""
    return "text/html" in request.headers.get("Accept", "") and request.endpoint not in FOR_PROGRAMS


def _log(error: GatewayError) -> None:
    """What was refused, and why, stands in the request's own line; what is wrong with us has a line besides."""
    facts = current_request.get()
    if facts is not None:
        facts.extra.update(error=type(error).__name__, reason=error.detail or error.message)
    if isinstance(error, DependencyUnavailable):
        log.warning("a dependency does not answer", detail=error.detail, request_id=facts.request_id if facts else None)


def _log_unexpected(error: Exception) -> None:
    facts = current_request.get()
    log.error("unexpected failure", exc_info=error, request_id=facts.request_id if facts else None)
