"""The collector of traces, where one is named."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from mcp_server.cli.browser import Http, NotReached
from mcp_server.cli.checks.finding import Finding
from mcp_server.web.services import Services

SECONDS = 5.0
GRPC_PORT = 4317
TAKEN = range(200, 300)
UNKNOWN_SENDER, NOT_THERE, LATER = (401, 403), (404, 405), (429, 502, 503, 504)
HOW = "OTLP over HTTP is port 4318 as a rule (4317 is gRPC, which is not spoken here), and /v1/traces is added."


def collector(built: Services) -> Iterator[Finding]:
    """Sends what a worker sends, without a span in it. A collector that is away costs spans and never a request, so nothing here fails."""
    if built.tracing is None:
        return
    url, headers = built.tracing.sends_to()
    http = Http(read_seconds=SECONDS)
    try:
        status = http.request("POST", url, b"", {**headers, "Content-Type": "application/x-protobuf"}).status
    except NotReached as error:
        mend = HOW if urlsplit(url).port == GRPC_PORT else f"Start it, or set OTEL_EXPORTER_OTLP_ENDPOINT to where it is: {HOW}"
        yield Finding("traces", "warn", f"The collector at {url} does not answer: {error}. Traces are dropped meanwhile, requests are not.", mend)
    else:
        yield _judged(url, status)
    finally:
        http.close()


def _judged(url: str, status: int) -> Finding:
    if status in TAKEN:
        return Finding("traces", "ok", f"the collector at {url} takes them")
    said = f"The collector at {url} answers {status}: traces are dropped."
    if status in UNKNOWN_SENDER:
        return Finding("traces", "warn", said, "Set OTEL_EXPORTER_OTLP_HEADERS to what it knows its senders by: authorization=Bearer%20…")
    if status in NOT_THERE:
        return Finding("traces", "warn", said, f"Nothing takes traces there. Set OTEL_EXPORTER_OTLP_ENDPOINT anew: {HOW}")
    if status in LATER:
        return Finding("traces", "warn", said, "It, or what is behind it, is overloaded or away: see its log, or set OTEL_TRACES_SAMPLER_ARG=0.1.")
    return Finding("traces", "warn", said, f"See its log. If that is no collector, set OTEL_EXPORTER_OTLP_ENDPOINT anew: {HOW}")
