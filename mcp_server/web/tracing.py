"""A span for each request, where the operator collects traces. Without a collector none of this is registered."""

from __future__ import annotations

from functools import partial

from flask import Flask, Response, g, request

from mcp_server.audit import RequestFacts, current_request
from mcp_server.metrics import HTTP_METHODS
from mcp_server.tracing import RequestSpan, RequestTracer

SERVER_ERROR = 500


def init_app(app: Flask, tracing: RequestTracer) -> None:
    """To be called after the log, whose lines then name the trace."""

    @app.before_request
    def begin() -> None:
        method, route = request.environ["REQUEST_METHOD"], request.url_rule.rule if request.url_rule else ""
        known = method if method in HTTP_METHODS else "other"
        g.span = span = tracing.request(f"{known} {route}".rstrip(), request.environ.get("HTTP_TRACEPARENT"))
        span.tell(http__request__method=known, http__route=route or None)
        if (facts := current_request.get()) is not None:
            facts.extra["trace_id"] = span.trace_id

    @app.after_request
    def finish(response: Response) -> Response:
        if "span" in g:
            response.call_on_close(partial(_end, g.span, response.status_code, current_request.get()))
        return response


def _end(span: RequestSpan, status: int, facts: RequestFacts | None) -> None:
    """The answer was sent, or nobody reads it any more. A stream knows only now what it was."""
    span.tell(http__response__status_code=status)
    if facts is not None:
        span.tell(gateway__request_id=facts.request_id, mcp__method__name=facts.method, gen_ai__tool__name=facts.tool)
    if status >= SERVER_ERROR:
        span.failed(str(status))
    span.end()
