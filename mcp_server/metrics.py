"""What Prometheus reads. Each worker counts for itself, in files that all share; a scrape of any worker adds them up.

gunicorn.conf.py names the folder of those files in PROMETHEUS_MULTIPROC_DIR before this module is imported; without it there is one process.
Every label has a small set of values: names of ours, and of the first models that answered; never a text of a caller's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector

from mcp_server import __version__

CONTENT_TYPE = CONTENT_TYPE_LATEST
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300, 600)
HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
WAIT_SECONDS = (0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
LOAD_SECONDS = (0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300)
SEARCH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
MOST_MODELS = 20
OTHER_MODELS = "other"
"""What the models after the first MOST_MODELS are called together, so that a server with hundreds makes no hundreds of series."""
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
        self._watch_models(registry)
        self._watch_knowledge_and_tasks(registry)
        self._models: set[str] = set()
        self._children: dict[tuple[MetricWrapperBase, tuple[str, ...]], Any] = {}
        self._info.labels(__version__).set(1)

    def _watch_models(self, registry: CollectorRegistry) -> None:
        self._looked_up = Counter(
            "gateway_model_cache_lookups", "Questions to the model by what the cache knew: hits, misses, shared (asked already), uncacheable.",
            ["result"], registry=registry)
        self._waits = Histogram(
            "gateway_model_wait_seconds", "How long calls waited for a place at the model; granted: yes, or no when they gave up.", ["granted"],
            registry=registry, buckets=WAIT_SECONDS)
        self._waiting = Gauge(
            "gateway_model_calls_waiting", "Calls that wait for a place at the model.", registry=registry, multiprocess_mode="livesum")
        self._running = Gauge("gateway_model_calls_running", "Calls that have a place.", registry=registry, multiprocess_mode="livesum")
        self._model_calls = Histogram(
            "gateway_model_call_seconds", "What a back end took, without the wait, by operation (answer, label_probabilities, embed) and outcome: "
            "ok, timeout, unavailable, busy, missing, refused, context_too_long, bad_model_output, gave_up.",
            ["operation", "back_end", "model", "outcome"], registry=registry, buckets=CALL_SECONDS)
        self._tokens = Counter(
            "gateway_model_tokens", "Tokens that models read (prompt) and wrote (answer), as they tell.", ["back_end", "model", "kind"],
            registry=registry)
        self._loads = Histogram(
            "gateway_model_load_seconds", "How long it took until a model was in memory.", ["back_end", "model"], registry=registry,
            buckets=LOAD_SECONDS)
        self._embedded = Counter("gateway_embedded_texts", "Texts of which a vector was made.", ["model"], registry=registry)
        self._breakers = Gauge(
            "gateway_model_breaker_open", "1 while calls are refused at once because the last ones failed: gate (all), first (of two back ends), "
            "embedding; as the worker sees it that sees worst.", ["breaker"], registry=registry, multiprocess_mode="livemax")
        self._failovers = Counter(
            "gateway_model_failovers", "Calls for which the second back end was asked; answered: yes or no.", ["answered"], registry=registry)

    def _watch_knowledge_and_tasks(self, registry: CollectorRegistry) -> None:
        self._grants = Counter("gateway_tokens_issued", "Token responses by grant type.", ["grant_type"], registry=registry)
        self._documents = Gauge(
            "gateway_knowledge_documents", "Documents in the generation that is searched, by kind.", ["kind"], registry=registry,
            multiprocess_mode="livemax")
        self._built_at = Gauge(
            "gateway_knowledge_built_timestamp_seconds", "When that generation was built; 0 before the first.", registry=registry,
            multiprocess_mode="livemax")
        self._searches = Histogram(
            "gateway_knowledge_search_seconds", "Searches by kind, method (lexical, lexical+vectors, none) and outcome: ok, degraded (words only "
            "although there are vectors), failed.", ["kind", "method", "outcome"], registry=registry, buckets=SEARCH_SECONDS)
        self._tasks = Histogram(
            "gateway_task_seconds", "Tasks that ended, from their creation, by tool and status.", ["tool", "status"], registry=registry,
            buckets=CALL_SECONDS)
        self._tasks_running = Gauge("gateway_tasks_running", "Tasks that run now.", registry=registry, multiprocess_mode="livesum")

    def request(self, route: str, method: str, status: int) -> None:
        self._of(self._requests, route, method if method in HTTP_METHODS else "other", str(status)).inc()

    def call(self, method: str, tool: str | None, outcome: str, seconds: float) -> None:
        """An MCP request was answered, or ended otherwise."""
        self._of(self._calls, method, tool or "", outcome).observe(seconds)

    def audited(self, action: str, result: str) -> None:
        self._of(self._events, action, result).inc()

    def issued(self, grant_type: str) -> None:
        """A token response was made."""
        self._of(self._grants, grant_type).inc()

    def limited(self, part: str) -> None:
        self._of(self._limited, part).inc()

    def pinged(self, store: str, seconds: float | None) -> None:
        """`seconds` None: it did not answer."""
        self._of(self._up, store).set(seconds is not None)
        if seconds is not None:
            self._of(self._pings, store).observe(seconds)

    def calls_open(self, count: int) -> None:
        self._open.set(count)

    def looked_up(self, result: str) -> None:
        self._of(self._looked_up, result).inc()

    def began_to_wait(self) -> None:
        self._waiting.inc()

    def waited(self, seconds: float, *, granted: bool) -> None:
        """A call waits no more for the model."""
        self._waiting.dec()
        self._of(self._waits, _yes(granted)).observe(seconds)
        if granted:
            self._running.inc()

    def left(self) -> None:
        self._running.dec()

    def called(self, operation: str, back_end: str, model: str, outcome: str, seconds: float) -> None:
        """A back end was asked, and answered or did not."""
        self._of(self._model_calls, operation, back_end, self._model(model), outcome).observe(seconds)

    def read_and_wrote(self, back_end: str, model: str, prompt_tokens: int, answer_tokens: int) -> None:
        known = self._model(model)
        self._of(self._tokens, back_end, known, "prompt").inc(prompt_tokens)
        self._of(self._tokens, back_end, known, "answer").inc(answer_tokens)

    def loaded(self, back_end: str, model: str, seconds: float) -> None:
        self._of(self._loads, back_end, self._model(model)).observe(seconds)

    def embedded(self, model: str, texts: int) -> None:
        self._of(self._embedded, self._model(model)).inc(texts)

    def breaker(self, which: str, *, is_open: bool) -> None:
        self._of(self._breakers, which).set(is_open)

    def failed_over(self, *, answered: bool) -> None:
        self._of(self._failovers, _yes(answered)).inc()

    def searched(self, kind: str, method: str, outcome: str, seconds: float) -> None:
        self._of(self._searches, kind, method, outcome).observe(seconds)

    def knowledge(self, documents: Mapping[str, int], built_at: float) -> None:
        """What is searched now."""
        for kind, count in documents.items():
            self._of(self._documents, kind).set(count)
        self._built_at.set(built_at)

    def task_ended(self, tool: str, status: str, seconds: float) -> None:
        self._of(self._tasks, tool, status).observe(seconds)

    def tasks_running(self, count: int) -> None:
        self._tasks_running.set(count)

    def exposition(self) -> bytes:
        """All workers' figures, as Prometheus reads them. Takes some 50 ms: not for the hub of a worker."""
        if SHARED_FOLDER not in os.environ:  # noqa: TID251 -- prometheus_client looks there too
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _model(self, name: str) -> str:
        if name not in self._models:
            if len(self._models) >= MOST_MODELS:
                return OTHER_MODELS
            self._models.add(name)
        return name

    def _of(self, metric: Metric, *labels: str) -> Metric:
        """Its child, without the lock and the checks of `labels()`: this is the path of every request."""
        found = self._children.get((metric, labels))
        if found is None:
            found = self._children[metric, labels] = metric.labels(*labels)
        child: Metric = found
        return child


def _yes(value: bool) -> str:  # noqa: FBT001 -- it is what is written
    return "yes" if value else "no"
