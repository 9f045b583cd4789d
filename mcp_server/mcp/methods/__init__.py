"""METHODS: one row per method that is served. A name that has no row is answered with -32601, a notification never."""

from __future__ import annotations

from mcp_server.mcp.methods.completion import CompleteParams, complete
from mcp_server.mcp.methods.lifecycle import InitializeParams, SetLevelParams, discover, initialize, ping, set_level
from mcp_server.mcp.methods.method import ListParams, Method, NotificationMethod, Params, never
from mcp_server.mcp.methods.prompts import GetPromptParams, get_prompt, list_prompts, prompt_is_quick
from mcp_server.mcp.methods.resources import (
    ReadParams,
    UriParams,
    list_resources,
    list_templates,
    read,
    resource_is_quick,
    subscribe,
    unsubscribe,
)
from mcp_server.mcp.methods.subscriptions import ListenParams, listen
from mcp_server.mcp.methods.tasks import TaskParams, UpdateTaskParams, cancel_task, get_task, update_task
from mcp_server.mcp.methods.tools import CallToolParams, call_tool, check_tool_headers, list_tools, tool_is_quick
from mcp_server.mcp.tasks import TASKS

READ = "tools:read"
"""For what a caller may see of this server and nothing is done by. A resource or a prompt only reads what the operator publishes."""

METHODS = (
    Method("initialize", InitializeParams(), initialize, open_to_anyone=True, alone=True, stateless=False),
    Method("ping", Params(), ping, open_to_anyone=True, stateless=False),
    Method("server/discover", Params(), discover, handshake=False, cache_scope="public"),
    Method("logging/setLevel", SetLevelParams(), set_level, capability="logging", stateless=False),
    Method("tools/list", ListParams(), list_tools, scope=READ, cache_scope="public"),
    Method(  # the scope is the tool's own
        "tools/call", CallToolParams(), call_tool, named_by="name", at_once=tool_is_quick, check_headers=check_tool_headers),
    Method("resources/list", ListParams(), list_resources, scope=READ, capability="resources", cache_scope="public"),
    Method("resources/templates/list", ListParams(), list_templates, scope=READ, capability="resources", cache_scope="public"),
    Method("resources/read", ReadParams(), read, scope=READ, capability="resources", cache_scope="private", at_once=resource_is_quick),
    Method("resources/subscribe", UriParams(), subscribe, scope=READ, capability="resources", stateless=False),
    Method("resources/unsubscribe", UriParams(), unsubscribe, scope=READ, capability="resources", stateless=False),
    Method("prompts/list", ListParams(), list_prompts, scope=READ, capability="prompts", cache_scope="public"),
    Method("prompts/get", GetPromptParams(), get_prompt, scope=READ, capability="prompts", at_once=prompt_is_quick),
    Method("completion/complete", CompleteParams(), complete, scope=READ, capability="completions"),
    Method("subscriptions/listen", ListenParams(), listen, scope=READ, handshake=False, at_once=never),
    Method("tasks/get", TaskParams(), get_task, handshake=False, extension=TASKS),  # the scope is that of the task's tool
    Method("tasks/update", UpdateTaskParams(), update_task, handshake=False, extension=TASKS),
    Method("tasks/cancel", TaskParams(), cancel_task, handshake=False, extension=TASKS),
)

NOTIFICATIONS = (
    NotificationMethod("notifications/initialized", open_to_anyone=True),
    NotificationMethod("notifications/cancelled"),
    NotificationMethod("notifications/roots/list_changed"),
)
