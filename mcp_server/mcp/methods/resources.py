"""Listing resources, reading one, and watching one from a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from mcp_server.errors import InvalidParams, ResourceNotFound, ToolError
from mcp_server.mcp import pages
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.methods.method import Params
from mcp_server.mcp.ports import MOST_SUBSCRIPTIONS
from mcp_server.mcp.server import Server


class UriParams(Params):
    uri = fields.String(required=True)


class ReadParams(UriParams):
    requestState = fields.Raw()  # noqa: N815 the protocol's spelling


def list_resources(server: Server, _: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    listed, cursor = server.resources.page(params.get("cursor"))
    shown = {"resources": [resource.definition for resource in listed]}
    return {**shown, "nextCursor": cursor} if cursor else shown


def list_templates(server: Server, _: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    listed, cursor = pages.page_of(server.resources.templates, lambda template: template.uri_template, params.get("cursor"))
    shown = {"resourceTemplates": [template.definition for template in listed]}
    return {**shown, "nextCursor": cursor} if cursor else shown


def read(server: Server, call: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    uri = params["uri"]
    try:
        contents = server.resources[uri].read(call, uri)
    except ToolError as error:
        raise InvalidParams(error.message) from error
    if not contents:
        raise ResourceNotFound("This resource is gone. Call resources/list for those that are there.", data={"uri": uri})
    answer: dict[str, Any] = {"contents": [each.definition for each in contents]}
    if params.get("requestState") is not None:
        answer["ttlMs"] = 0  # what somebody answered on the way is in it (2026-07-28, caching)
    return answer


def resource_is_quick(server: Server, params: Mapping[str, Any]) -> bool:
    source = server.resources.find(params.get("uri"))
    return source is None or source.quick


def subscribe(server: Server, call: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    """Kept with the session. Without one there is no stream on which a change could be told."""
    uri = params["uri"]
    server.resources[uri]  # raises for one that is not there
    if call.session is not None and not server.sessions.store.subscribe(call.session.name, uri, call.session.until):
        raise InvalidParams(f"A session watches at most {MOST_SUBSCRIPTIONS} resources. Unsubscribe from one first.")
    return {}


def unsubscribe(server: Server, call: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    """Also from what is gone, or was never watched."""
    if call.session is not None:
        server.sessions.store.unsubscribe(call.session.name, params["uri"], call.session.until)
    return {}
