"""Is it alive, can it serve, and what does it miss. Names what fails; no addresses, paths or versions of others."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response

from mcp_server import __version__
from mcp_server.clock import elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import StoreUnavailable
from mcp_server.web.error_handlers import as_json
from mcp_server.web.services import Store, services

bp = Blueprint("health", __name__)

MODEL_SECONDS = 2.0
PROBE_SECONDS = 1.0


@bp.get("/health")
def health() -> Response:
    """200 while it can serve. One store is enough for calls with a token, and without the model the tools say so themselves."""
    found = {**_stores(), "model": _model()}
    serving = {found["state"], found["registry"]} != {"down"}
    status = "unhealthy" if not serving else "healthy" if set(found.values()) == {"up"} else "degraded"
    return _answer(status, found, 200 if serving else 503)


@bp.get("/health/live")
def live() -> Response:
    """The process answers. Asks nothing else: a restart does not bring a database back."""
    return as_json(200, {"status": "alive", "version": __version__})


@bp.get("/health/ready")
def ready() -> Response:
    """200 while it can do everything that is its own: sign people in, issue, refresh and revoke.

    What the last self-test found wrong with the model is told, and takes no instance out of service: all of them share the model.
    """
    found, test = _stores(), services().self_test
    complete = set(found.values()) == {"up"}
    found["model"] = "checking" if test.model_works is None else "up" if test.model_works else "down"
    problems = [f"{step.said} {step.next_step}" for step in test.steps if not step.ok]
    return _answer("ready" if complete else "not ready", found, 200 if complete else 503, problems)


def _answer(status: str, found: dict[str, str], code: int, problems: list[str] | None = None) -> Response:
    now = datetime.fromtimestamp(services().clock(), UTC).isoformat(timespec="milliseconds")
    told = {"status": status, "timestamp": now, "version": __version__, "services": found, **({"problems": problems} if problems else {})}
    return as_json(code, told, {"Retry-After": "5"} if code != 200 else {})  # noqa: PLR2004


def _stores() -> dict[str, str]:
    built = services()
    return {"state": _probed("state", built.state), "registry": _probed("registry", built.registry)}


def _probed(name: str, store: Store) -> str:
    """Written to at most once in PROBE_SECONDS, however often anybody asks."""
    known, now = services().probed, elapsed()
    asked_at, found = known.get(name, (-PROBE_SECONDS, ""))
    if now - asked_at >= PROBE_SECONDS:
        found = _probe(store)
        known[name] = (now, found)
    return found


def _probe(store: Store) -> str:
    """`read-only`: it answers and takes nothing. A full disk looks so, a file system or a database that may only be read, a Redis out of memory."""
    try:
        store.ping()
    except StoreUnavailable:
        return "down"
    try:
        store.write(services().clock())
    except StoreUnavailable:
        return "read-only"
    return "up"


def _model() -> str:
    status = services().model.status(Deadline.after(MODEL_SECONDS))
    return "up" if status.available else "down"
