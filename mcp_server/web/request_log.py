"""What every request gets: an id, one line in the log, and the headers that keep a browser careful."""

from __future__ import annotations

import os

from flask import Flask, Response, g, request

from mcp_server.audit import RequestFacts, current_request
from mcp_server.clock import elapsed
from mcp_server.web import origins
from mcp_server.web.services import Services


def init_app(app: Flask, built: Services) -> None:
    secure = built.settings.issuer.startswith("https://")

    @app.before_request
    def begin() -> None:
        g.began = elapsed()
        current_request.set(RequestFacts(os.urandom(16).hex(), built.client_address.of(request.environ)))

    @app.after_request
    def finish(response: Response) -> Response:
        environ = request.environ
        facts = current_request.get()
        if facts is None:  # a request that failed before it began
            return response
        headers = response.headers
        headers["X-Request-ID"] = facts.request_id
        headers["X-Content-Type-Options"] = "nosniff"
        if "Cache-Control" not in headers:
            headers["Cache-Control"] = "no-store"
        if secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if request.blueprint == "mcp":
            origins.add_cors(response, environ, built.allowed_origins)
        built.write_access_line({
            "event": "request", "request_id": facts.request_id, "method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"][:200],
            "status": response.status_code, "duration_ms": round((elapsed() - g.began) * 1000, 2), "source_ip": facts.source_ip,
            "client_id": facts.client_id, "user_id": facts.user_id, "mcp_method": facts.method, "tool": facts.tool, **facts.extra,
        })
        return response
