"""What every request gets: an id, one line in the log, and the headers that keep a browser careful."""

from __future__ import annotations

import os

from flask import Flask, Request, Response, request

from mcp_server.audit import RequestFacts, current_request
from mcp_server.clock import elapsed
from mcp_server.web import origins
from mcp_server.web.services import Services


def init_app(app: Flask, built: Services) -> None:
    secure = built.settings.issuer.startswith("https://")

    ours = [("X-Content-Type-Options", "nosniff"), *([("Strict-Transport-Security", "max-age=31536000")] if secure else [])]

    def counted(asked: Request, facts: RequestFacts, response: Response) -> None:
        status = response.status_code
        built.metrics.request(asked.url_rule.rule if asked.url_rule else "none", asked.environ["REQUEST_METHOD"], status)
        if facts.method is not None and not response.is_streamed:  # a stream is counted when it ends
            built.metrics.call(facts.method, facts.tool, outcome_of(facts), elapsed() - facts.began)
        if status == 429:  # noqa: PLR2004
            built.metrics.limited(asked.blueprint or "none")

    @app.before_request
    def begin() -> None:
        current_request.set(RequestFacts(os.urandom(16).hex(), built.client_address.of(request.environ), began=elapsed()))

    @app.after_request
    def finish(response: Response) -> Response:
        asked: Request = request._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 -- each use of the proxy costs a look-up
        environ = asked.environ
        facts = current_request.get()
        if facts is None:  # a request that failed before it began
            return response
        headers = response.headers
        headers.add("X-Request-ID", facts.request_id)
        headers.extend(ours)
        if "Cache-Control" not in headers:
            headers.add("Cache-Control", "no-store")
        if "HTTP_ORIGIN" in environ and asked.blueprint == "mcp":
            origins.add_cors(response, environ, built.allowed_origins)
        built.write_access_line({
            "event": "request", "request_id": facts.request_id, "method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"][:200],
            "status": response.status_code, "duration_ms": round((elapsed() - facts.began) * 1000, 2), "source_ip": facts.source_ip,
            "client_id": facts.client_id, "user_id": facts.user_id, "mcp_method": facts.method, "tool": facts.tool, **facts.extra,
        })
        counted(asked, facts, response)
        return response


def outcome_of(facts: RequestFacts) -> str:
    """How an MCP request was answered, in a word for the metrics."""
    error = facts.extra.get("mcp_error")
    return "ok" if error is None else "tool_error" if error == "isError" else "protocol_error"
