"""What Prometheus reads. Each worker counts for itself, in files that all share; a scrape of any worker adds them up.

gunicorn.conf.py names the folder of those files in PROMETHEUS_MULTIPROC_DIR before this module is imported; without it there is one process.
Every label has a small, fixed set of values: names of ours, never a text of a caller's.
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector

from mcp_server import __version__

CONTENT_TYPE = CONTENT_TYPE_LATEST
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300, 600)
HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PING_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


Metric = TypeVar("Metric", bound=MetricWrapperBase)


class Metrics:
    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "gateway_http_requests", "HTTP requests by route, method and status.", ["route", "method", "status"], registry=registry)
        self._calls = Histogram(
            "gateway_mcp_call_duration_seconds", "MCP requests by method, tool and outcome: ok, tool_error, protocol_error, cancelled, lost.",
            ["method", "tool", "outcome"], registry=registry, buckets=CALL_SECONDS)
        self._events = Counter(
            "gateway_audit_events", "Audit records by action and result: tokens issued, refused and revoked, sign-ins, …", ["action", "result"],
            registry=registry)
        self._limited = Counter("gateway_rate_limited", "Requests refused by a limit, by the part of the server.", ["part"], registry=registry)
        self._pings = Histogram(
            "gateway_store_ping_seconds", "How long a store takes to answer.", ["store"], registry=registry, buckets=PING_SECONDS)
        self._up = Gauge(
            "gateway_store_up", "1 while a store answers, as the worker sees it that sees least.", ["store"], registry=registry,
            multiprocess_mode="livemin")
        self._open = Gauge(
            "gateway_calls_open", "Calls and streams that are worked on beside their connections.", registry=registry, multiprocess_mode="livesum")
        self._info = Gauge("gateway_info", "The version that runs.", ["version"], registry=registry, multiprocess_mode="livemax")
        self._children: dict[tuple[MetricWrapperBase, tuple[str, ...]], Any] = {}
        self._info.labels(__version__).set(1)

    def request(self, route: str, method: str, status: int) -> None:
        self._of(self._requests, route, method if method in HTTP_METHODS else "other", str(status)).inc()

    def call(self, method: str, tool: str | None, outcome: str, seconds: float) -> None:
        """An MCP request was answered, or ended otherwise."""
        self._of(self._calls, method, tool or "", outcome).observe(seconds)

    def audited(self, action: str, result: str) -> None:
        self._of(self._events, action, result).inc()

    def limited(self, part: str) -> None:
        self._of(self._limited, part).inc()

    def pinged(self, store: str, seconds: float | None) -> None:
        """`seconds` None: it did not answer."""
        self._of(self._up, store).set(seconds is not None)
        if seconds is not None:
            self._of(self._pings, store).observe(seconds)

    def calls_open(self, count: int) -> None:
        self._open.set(count)

    def exposition(self) -> bytes:
        """All workers' figures, as Prometheus reads them. Takes some 50 ms: not for the hub of a worker."""
        if SHARED_FOLDER not in os.environ:  # noqa: TID251 -- prometheus_client looks there too
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _of(self, metric: Metric, *labels: str) -> Metric:
        """Its child, without the lock and the checks of `labels()`: this is the path of every request."""
        found = self._children.get((metric, labels))
        if found is None:
            found = self._children[metric, labels] = metric.labels(*labels)
        child: Metric = found
        return child
