"""METHODS: one row per method that is served. A name that has no row is answered with -32601, a notification never."""

from __future__ import annotations

from mcp_server.mcp.methods.lifecycle import InitializeParams, SetLevelParams, discover, initialize, ping, set_level
from mcp_server.mcp.methods.method import Method, NotificationMethod, Params, never
from mcp_server.mcp.methods.subscriptions import ListenParams, listen
from mcp_server.mcp.methods.tasks import TaskParams, UpdateTaskParams, cancel_task, get_task, update_task
from mcp_server.mcp.methods.tools import CallToolParams, ListToolsParams, call_tool, check_tool_headers, list_tools, tool_is_quick
from mcp_server.mcp.tasks import TASKS

METHODS = (
    Method("initialize", InitializeParams(), initialize, open_to_anyone=True, alone=True, stateless=False),
    Method("ping", Params(), ping, open_to_anyone=True, stateless=False),
    Method("server/discover", Params(), discover, handshake=False, cache_scope="public"),
    Method("logging/setLevel", SetLevelParams(), set_level, capability="logging", stateless=False),
    Method("tools/list", ListToolsParams(), list_tools, scope="tools:read", cache_scope="public"),
    Method(  # the scope is the tool's own
        "tools/call", CallToolParams(), call_tool, named_by="name", at_once=tool_is_quick, check_headers=check_tool_headers),
    Method("subscriptions/listen", ListenParams(), listen, scope="tools:read", handshake=False, at_once=never),
    Method("tasks/get", TaskParams(), get_task, handshake=False, extension=TASKS),  # the scope is that of the task's tool
    Method("tasks/update", UpdateTaskParams(), update_task, handshake=False, extension=TASKS),
    Method("tasks/cancel", TaskParams(), cancel_task, handshake=False, extension=TASKS),
)

NOTIFICATIONS = (
    NotificationMethod("notifications/initialized", open_to_anyone=True),
    NotificationMethod("notifications/cancelled"),
    NotificationMethod("notifications/roots/list_changed"),
)
