"""What both halves stand on: settings, clock, stores, digests, the audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from config import logs
from config.settings import Settings
from mcp_server.audit import Audit
from mcp_server.audit_log.chain import Keys
from mcp_server.audit_log.writer import ChainedFile
from mcp_server.clock import Clock
from mcp_server.metrics import Metrics
from mcp_server.oauth.credentials import Digests
from mcp_server.storage.open import open_state
from mcp_server.storage.redis import RedisState
from mcp_server.storage.registry import Registry
from mcp_server.storage.sqlite import SqliteState
from mcp_server.tracing import UNTRACED, RequestTracer, Tracer

Background = Callable[[], Callable[[], None]]
"""Begins some work beside the requests, and returns what ends it."""


@dataclass(frozen=True)
class Foundations:
    settings: Settings
    clock: Clock
    state: SqliteState | RedisState
    registry: Registry
    audit: Audit
    digests: Digests
    write_access_line: Callable[[dict[str, Any]], None]
    metrics: Metrics
    tracing: RequestTracer | None
    """None: off."""

    @property
    def tracer(self) -> Tracer:
        return self.tracing or UNTRACED


def lay_foundations(settings: Settings, clock: Clock, log_to: int) -> Foundations:
    """Connects to nothing yet. `log_to` is a file descriptor."""
    metrics = Metrics()
    return Foundations(
        settings, clock, open_state(settings.redis_url, settings.state_path, clock=clock), Registry(settings.database_url),
        _audit(settings, clock, log_to, metrics), Digests(settings.jwt_secret, settings.jwt_secret_previous),
        logs.line_writer(None, settings.log_format, log_to), metrics, _tracing(settings))


def _tracing(settings: Settings) -> RequestTracer | None:
    if settings.otlp_endpoint is None:
        return None
    from mcp_server.outbound.telemetry import Telemetry  # noqa: PLC0415 -- its packages are there only where traces are wanted

    return Telemetry(
        settings.otlp_endpoint, headers=settings.otlp_headers, share=settings.trace_share, trusts_callers=settings.trust_traceparent == "on")


def _audit(settings: Settings, clock: Clock, log_to: int, metrics: Metrics) -> Audit:
    """JSON whatever LOG_FORMAT says: an audit line is for machines first. A regular file is chained, and nothing else can be."""
    path, write, close = settings.audit_log_path, logs.line_writer(None, "json", log_to), _nothing
    if path is not None and path.exists() and not path.is_file():
        write = logs.line_writer(path)
    elif path is not None:
        chained = ChainedFile(path, Keys(settings.jwt_secret, settings.jwt_secret_previous), clock, otherwise=log_to)
        write, close = chained, chained.close

    def write_and_count(record: dict[str, Any]) -> None:
        write({"event": "audit", **record})
        action = record["action"]
        metrics.audited(action, record["result"])
        if action in {"token_issued", "token_refreshed"}:
            metrics.issued("refresh_token" if action == "token_refreshed" else record["details"]["grant_type"])

    return Audit(write_and_count, clock, close)


def _nothing() -> None:
    pass
