"""A collector of traces on loopback: what the SDK sends by OTLP over HTTP, read by OpenTelemetry's own message types."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collected:
    """One span."""

    def __init__(self, span, resource) -> None:
        self.name, self.kind = span.name, span.kind
        self.trace_id, self.span_id, self.parent_id = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        self.seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
        self.is_error = span.status.code == 2
        self.attributes = _plain(span.attributes)
        self.resource = _plain(resource.attributes)


def _plain(attributes):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


class Collector:
    """`hangs`: it takes what is sent and answers nothing. `status`: what it answers.

    `everything` is all bytes that came; `headers` those of each request.
    """

    def __init__(self) -> None:
        self.spans, self.headers = [], []
        self.everything = b""
        self.hangs, self.status = False, 200
        self.asked, self.ended = threading.Event(), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads, self._server.collector = True, self

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        collector = self.server.collector
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        collector.asked.set()
        if collector.hangs:
            collector.ended.wait(60)
            return
        assert self.path == "/v1/traces"
        collector.everything += body
        collector.headers.append(dict(self.headers))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            collector.spans += [Collected(span, resource.resource) for scope in resource.scope_spans for span in scope.spans]
        self.send_response(collector.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""
