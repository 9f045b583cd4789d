"""Listening to changes: on a stream of its own (2026-07-28), or on the stream that a session's GET opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from mcp_server.mcp.changes import LISTS, UPDATED
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.conversation import HandshakeConversation, Outlet
from mcp_server.mcp.eras import META
from mcp_server.mcp.methods.method import Params
from mcp_server.mcp.methods.tasks import followed, following
from mcp_server.mcp.server import Server
from mcp_server.mcp.sessions import Session
from mcp_server.principal import Principal

SUBSCRIPTION_KEY = f"{META}subscriptionId"
MOST_URIS = 100


class ListenParams(Params):
    notifications = fields.Dict(keys=fields.String(), required=True)


def listen(server: Server, call: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    """Acknowledge what is honoured of the filter, then tell of it until somebody ends the stream."""
    honoured, task_ids = _honoured(server, params["notifications"]), followed(server, call, params["notifications"].get("taskIds"))
    if task_ids:
        honoured["taskIds"] = task_ids
    mark = {SUBSCRIPTION_KEY: call.request_id}

    def notify(method: str, told: Mapping[str, Any]) -> None:
        call.conversation.notify(method, {**told, "_meta": mark})

    def wanted(method: str, told: Mapping[str, Any]) -> bool:
        if method == UPDATED:
            return told["uri"] in honoured.get("resourceSubscriptions", ())
        return any(LISTS[name] == method for name in honoured if name in LISTS)

    with server.changes.following(wanted, notify):
        notify("notifications/subscriptions/acknowledged", {"notifications": honoured})
        server.changes.tell_recent(wanted, notify)
        with following(server.tasks, call.principal, task_ids, notify):
            server.changes.wait(call.principal)
    return {"_meta": mark}


def listen_in_session(server: Server, principal: Principal, session: Session, outlet: Outlet) -> None:
    """What the GET of a session hears: every list, and the resources that the session subscribed to."""

    def wanted(method: str, told: Mapping[str, Any]) -> bool:
        if method != UPDATED:
            return True
        return told["uri"] in server.sessions.store.find(session.name, server.sessions.now()).subscriptions

    notify = HandshakeConversation(outlet, session, server.switchboard).notify
    with server.changes.following(wanted, notify):
        outlet.open()
        server.changes.tell_recent(wanted, notify)
        server.changes.wait(principal)


def _honoured(server: Server, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the filter that something can come of."""
    served = server.capabilities
    honoured: dict[str, Any] = {
        name: True for name, method in LISTS.items() if asked.get(name) is True and served.get(method.split("/")[1], {}).get("listChanged")}
    uris = asked.get("resourceSubscriptions")
    if isinstance(uris, list) and served.get("resources", {}).get("subscribe"):
        honoured["resourceSubscriptions"] = [uri for uri in uris if isinstance(uri, str)][:MOST_URIS]
    return honoured
