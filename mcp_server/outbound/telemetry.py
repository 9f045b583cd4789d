"""Spans by OpenTelemetry, sent to the operator's collector by OTLP over HTTP. Imported only where one is configured.

The SDK has a thread that sends them in batches; under gevent it is a greenlet. When the collector is away or slow, spans are dropped, and
no request waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, Status, StatusCode, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.re import parse_env_headers

from mcp_server import __version__
from mcp_server.concurrency import give_up_after
from mcp_server.tracing import Value, outgoing

EXPORT_SECONDS = 5
END_SECONDS = 3.0
"""For the last spans of a worker that stops. It must not wait longer for a collector that is away."""
SERVICE = "servicenow-mcp-gateway"
TRACE_CONTEXT = TraceContextTextMapPropagator()

_here: ContextVar[Context | None] = ContextVar("_here", default=None)
"""What is done now. Set anew by each request, and seen by what it begins beside itself."""


class _TooLate(Exception):
    """The collector took too long."""


class TelemetrySpan:
    """A span of ours over one of theirs."""

    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    @property
    def trace_id(self) -> str:
        return format_trace_id(self._span.get_span_context().trace_id)

    def tell(self, **facts: Value | None) -> None:
        for name, value in facts.items():
            if value is not None:
                self._span.set_attribute(name.replace("__", "."), value)

    def failed(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        self._span.end()


class Telemetry:
    """`share`: of the requests that are traced. `trusts_callers`: a caller's traceparent is continued, and its word on sampling is followed."""

    def __init__(self, endpoint: str, *, headers: str | None, share: float, trusts_callers: bool) -> None:
        self._endpoint = f"{endpoint.rstrip('/')}/v1/traces"
        self._headers = parse_env_headers(headers or "", liberal=True)
        self._trusts_callers = trusts_callers
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)), resource=Resource.create({"service.name": SERVICE, "service.version": __version__}),
            shutdown_on_exit=False)
        self._tracer = self._provider.get_tracer(SERVICE, __version__)

    def request(self, name: str, traceparent: str | None) -> TelemetrySpan:
        told = {"traceparent": traceparent} if traceparent and self._trusts_callers else {}
        span = self._tracer.start_span(name, TRACE_CONTEXT.extract(told, Context()), SpanKind.SERVER)
        _here.set(set_span_in_context(span, Context()))
        return TelemetrySpan(span)

    @contextmanager
    def call(self, name: str) -> Iterator[TelemetrySpan]:
        span = self._tracer.start_span(name, _here.get() or Context(), SpanKind.CLIENT)
        headers: dict[str, str] = {}
        TRACE_CONTEXT.inject(headers, set_span_in_context(span, Context()))
        token = outgoing.set(headers)
        try:
            yield TelemetrySpan(span)
        finally:
            outgoing.reset(token)
            span.end()

    def sends_to(self) -> tuple[str, Mapping[str, str]]:
        return self._endpoint, self._headers

    def begin(self) -> Callable[[], None]:
        """In the worker, since no thread survives a fork. Returns what sends the last spans, for END_SECONDS at most."""
        self._provider.add_span_processor(BatchSpanProcessor(
            OTLPSpanExporter(self._endpoint, headers=self._headers, timeout=EXPORT_SECONDS)))
        return self._end

    def _end(self) -> None:
        try:
            with give_up_after(END_SECONDS, _TooLate):
                self._provider.shutdown()
        except _TooLate:
            logging.getLogger(__name__).warning("the last spans were dropped: the collector does not answer")
