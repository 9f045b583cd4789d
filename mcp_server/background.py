"""What a worker does beside its requests: begun when the worker is ready, ended with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from config import logs
from mcp_server.audit import Audit
from mcp_server.clock import Clock, elapsed
from mcp_server.concurrency import pause, spawn
from mcp_server.errors import StoreUnavailable
from mcp_server.knowledge.documents import KINDS
from mcp_server.knowledge.ports import Index
from mcp_server.mcp.task_runner import TaskRunner
from mcp_server.metrics import Metrics
from mcp_server.oauth.key_records import KeyRecords
from mcp_server.storage.registry import Registry


def once(work: Callable[[], None]) -> Callable[[], Callable[[], None]]:
    """Work that is done before the first request. The server starts without it where the store is away."""

    def begin() -> Callable[[], None]:
        try:
            work()
        except StoreUnavailable as error:
            logs.get("background").warning("clients are not told what changed", detail=error.detail)
        return lambda: None

    return begin


def every(seconds: float, work: Callable[[], Any]) -> Callable[[], Callable[[], None]]:
    """Work that is repeated beside the requests once it is begun. Whatever fails is logged, and tried again."""

    def repeat() -> None:
        while True:
            try:
                work()
            except Exception as error:  # noqa: BLE001 the loop must not end
                logs.get("background").error("background work failed", exc_info=error)
            pause(seconds)

    return lambda: spawn(repeat)


def sweeping_keys(key_records: KeyRecords, audit: Audit) -> Callable[[], None]:
    """Removes the keys whose last token has ended."""

    def sweep() -> None:
        try:
            for kid in key_records.sweep():
                audit.record("security", "signing_key_removed", "success", kid=kid, reason="its last token has ended")
        except StoreUnavailable as error:
            logs.get("background").warning("retired keys stay a while", detail=error.detail)

    return sweep


def sweeping(state: Any, registry: Registry, clock: Clock) -> Callable[[], None]:
    """Forgets what has expired."""

    def sweep() -> None:
        try:
            state.sweep(clock())
            registry.revocations.sweep(clock())
        except StoreUnavailable as error:
            logs.get("background").warning("what has expired stays a while", detail=error.detail)

    return sweep


def watching(stores: Mapping[str, Any], calls_open: Callable[[], int], metrics: Metrics) -> Callable[[], None]:
    """Tells the metrics whether the stores answer, how soon, and how much is going on."""

    def watch() -> None:
        metrics.calls_open(calls_open())
        for name, store in stores.items():
            began = elapsed()
            try:
                store.ping()
            except StoreUnavailable:
                metrics.pinged(name, None)
            else:
                metrics.pinged(name, elapsed() - began)

    return watch


def watching_the_knowledge(index: Index, metrics: Metrics) -> Callable[[], None]:
    """Tells the metrics what is searched now. A store that is away leaves the last figures: `watching` and the searches tell of it."""

    def watch() -> None:
        with suppress(StoreUnavailable), index.reading() as view:
            state = view.state if view else None
            metrics.knowledge({kind: state.documents.get(kind, 0) if state else 0 for kind in KINDS}, state.built_at if state else 0.0)

    return watch


def watching_the_tasks(runner: TaskRunner, metrics: Metrics) -> Callable[[], None]:
    return lambda: metrics.tasks_running(runner.running)
