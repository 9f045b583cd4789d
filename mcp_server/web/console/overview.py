"""Whether all is well: stores, model and queue, counts, limits."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from mcp_server import __version__
from mcp_server.deadline import Deadline
from mcp_server.errors import StoreUnavailable
from mcp_server.web.console.pages import bp, for_operators, show
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import Services, Store, services

MODEL_SECONDS = 2.0


@bp.route("", methods=EVERY)
@only("GET")
@for_operators
def overview() -> ResponseReturnValue:
    built = services()
    return show(
        "overview", version=__version__, stores={"State": _state(built.state), "Registry": _state(built.registry)},
        model=built.model.status(Deadline.after(MODEL_SECONDS)), calls=built.calls.count, counts=_counts(built), limits=_limits(built),
        settings=built.settings)


def _state(store: Store) -> str:
    try:
        store.ping()
    except StoreUnavailable:
        return "does not answer"
    return "answers"


def _counts(built: Services) -> dict[str, int]:
    people = built.users.all()
    return {
        "Clients": len(built.clients.all()), "Approvals in force": len(built.grants_in_force.all()), "People": len(people),
        "of them operators": sum(user.operator for user in people), "Initial access tokens": len(built.initial_access_tokens.all())}


def _limits(built: Services) -> dict[str, str]:
    settings = built.settings
    return {
        "OAuth requests, for each client and address": _rate(settings.rate_limit_oauth_max, settings.rate_limit_oauth_window),
        "MCP requests, for each client": _rate(settings.rate_limit_mcp_max, settings.rate_limit_mcp_window),
        "Model calls at once": str(settings.llm_concurrency), "Seconds for one tool call": f"{settings.llm_timeout:g}",
        "Characters of a tool result": str(settings.tool_output_limit)}


def _rate(most: int, window: int) -> str:
    return f"{most} in {window} seconds" if most else "no limit"
