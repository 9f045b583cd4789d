"""Listing prompts and getting one."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from marshmallow import fields

from mcp_server.mcp import pages
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.methods.method import Params
from mcp_server.mcp.server import Server


class GetPromptParams(Params):
    name = fields.String(required=True)
    arguments = fields.Dict(keys=fields.String(), allow_none=True)


def list_prompts(server: Server, _: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    prompts, cursor = pages.page_of(server.prompts.definitions, itemgetter("name"), params.get("cursor"))
    return {"prompts": prompts, "nextCursor": cursor} if cursor else {"prompts": prompts}


def get_prompt(server: Server, call: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    return server.prompts.get(server.prompts[params["name"]], call, params.get("arguments") or {})


def prompt_is_quick(server: Server, params: Mapping[str, Any]) -> bool:
    prompt = server.prompts.find(params.get("name"))
    return prompt is None or prompt.quick
