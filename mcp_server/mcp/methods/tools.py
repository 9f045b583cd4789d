"""Listing tools and calling one."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from marshmallow import fields

from mcp_server.mcp import pages, stateless
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.methods.method import Params
from mcp_server.mcp.methods.tasks import begun_as_a_task
from mcp_server.mcp.server import Server


class CallToolParams(Params):
    name = fields.String(required=True)
    arguments = fields.Dict(allow_none=True)

    def load(self, data: Any, **options: Any) -> Any:
        """What nearly every call looks like is seen by hand, for this is the hot path; anything else marshmallow explains."""
        if type(data.get("name")) is str and type(data.get("arguments")) is dict:
            return {"name": data["name"], "arguments": data["arguments"]}
        return super().load(data, **options)


def list_tools(server: Server, call: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    tools, cursor = pages.page_of(server.tools.definitions_for(call.principal), itemgetter("name"), params.get("cursor"))
    listed = {"tools": tools, "nextCursor": cursor} if cursor else {"tools": tools}
    return {"cacheScope": "private", **listed} if server.tools.differs and call.era.stateless else listed


def call_tool(server: Server, call: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    tool = server.tools.offered(params["name"], call.principal)
    call.require_scope(tool.scope)
    arguments = params.get("arguments") or {}
    begun = begun_as_a_task(server, call, tool, arguments) if tool.as_task != "never" else None
    return begun or server.tools.call(tool, call, arguments).on_the_wire


def tool_is_quick(server: Server, params: Mapping[str, Any]) -> bool:
    tool = server.tools.find(params.get("name"))
    return tool is None or tool.quick


def check_tool_headers(server: Server, params: Mapping[str, Any], header: stateless.Header) -> None:
    tool = server.tools.find(params.get("name"))
    if tool is not None:
        stateless.check_arguments(tool.definition["inputSchema"], params.get("arguments"), header)
