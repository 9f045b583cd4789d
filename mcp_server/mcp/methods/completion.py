"""What an argument of a prompt, or a variable of a resource template, can become while somebody types it."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from mcp_server.errors import InvalidParams
from mcp_server.mcp.completion import on_the_wire
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.methods.method import Params
from mcp_server.mcp.server import Server

PROMPT, RESOURCE = "ref/prompt", "ref/resource"
LONGEST = 1000


class ReferenceParams(Params):
    type = fields.String(required=True, validate=validate.OneOf((PROMPT, RESOURCE)))
    name = fields.String()
    uri = fields.String()


class ArgumentParams(Params):
    name = fields.String(required=True)
    value = fields.String(required=True, validate=validate.Length(max=LONGEST))


class CompletionContextParams(Params):
    arguments = fields.Dict(keys=fields.String(), values=fields.String(), allow_none=True)


class CompleteParams(Params):
    ref = fields.Nested(ReferenceParams, required=True)
    argument = fields.Nested(ArgumentParams, required=True)
    context = fields.Nested(CompletionContextParams, allow_none=True)


def complete(server: Server, _: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    ref, argument = params["ref"], params["argument"]
    given = (params.get("context") or {}).get("arguments") or {}
    of_a_prompt = ref["type"] == PROMPT
    member = "name" if of_a_prompt else "uri"
    if member not in ref:
        raise InvalidParams(f"`ref.{member}` is missing.")
    registry = server.prompts if of_a_prompt else server.resources
    return {"completion": on_the_wire(registry.complete(ref[member], argument["name"], argument["value"], given))}
