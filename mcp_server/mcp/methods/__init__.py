"""METHODS: one row per method that is served. A name that has no row is answered with -32601, a notification never."""

from __future__ import annotations

from mcp_server.mcp.methods.lifecycle import InitializeParams, initialize, ping
from mcp_server.mcp.methods.method import Method, NotificationMethod, Params
from mcp_server.mcp.methods.tools import CallToolParams, ListToolsParams, call_tool, list_tools

METHODS = (
    Method("initialize", InitializeParams(), initialize, open_to_anyone=True, alone=True),
    Method("ping", Params(), ping, open_to_anyone=True),
    Method("tools/list", ListToolsParams(), list_tools, scope="tools:read"),
    Method("tools/call", CallToolParams(), call_tool, named_by="name"),  # the scope is the tool's own
)

NOTIFICATIONS = (
    NotificationMethod("notifications/initialized", open_to_anyone=True),
    NotificationMethod("notifications/cancelled"),  # a guessable id must not stop another caller's request
    NotificationMethod("notifications/roots/list_changed"),
)
