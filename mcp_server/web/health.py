"""Is it alive, can it serve, and what does it miss. Names what fails; no addresses, paths or versions of others."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response

from mcp_server import __version__
from mcp_server.deadline import Deadline
from mcp_server.errors import StoreUnavailable
from mcp_server.web.error_handlers import as_json
from mcp_server.web.services import Store, services

bp = Blueprint("health", __name__)

MODEL_SECONDS = 2.0


@bp.get("/health")
def health() -> Response:
    """200 while it can serve. One store is enough for calls with a token, and without the model the tools say so themselves."""
    found = {**_stores(), "model": _model()}
    serving = "up" in (found["state"], found["registry"])
    status = "unhealthy" if not serving else "degraded" if "down" in found.values() else "healthy"
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
    complete = "down" not in found.values()
    found["model"] = "checking" if test.model_works is None else "up" if test.model_works else "down"
    problems = [f"{step.said} {step.next_step}" for step in test.steps if not step.ok]
    return _answer("ready" if complete else "not ready", found, 200 if complete else 503, problems)


def _answer(status: str, found: dict[str, str], code: int, problems: list[str] | None = None) -> Response:
    now = datetime.fromtimestamp(services().clock(), UTC).isoformat(timespec="milliseconds")
    told = {"status": status, "timestamp": now, "version": __version__, "services": found, **({"problems": problems} if problems else {})}
    return as_json(code, told, {"Retry-After": "5"} if code != 200 else {})  # noqa: PLR2004


def _stores() -> dict[str, str]:
    built = services()
    return {"state": _ping(built.state), "registry": _ping(built.registry)}


def _ping(store: Store) -> str:
    try:
        store.ping()
    except StoreUnavailable:
        return "down"
    return "up"


def _model() -> str:
    status = services().model.status(Deadline.after(MODEL_SECONDS))
    return "up" if status.available else "down"
