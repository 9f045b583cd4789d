"""The handshake, and being alive."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from mcp_server.mcp.context import CallContext
from mcp_server.mcp.eras import agreed_version
from mcp_server.mcp.methods.method import Params
from mcp_server.mcp.server import Server


class InitializeParams(Params):
    """Capabilities and name of the client are checked for their shape; nothing depends on them."""

    protocolVersion = fields.String(required=True)  # noqa: N815 the protocol's spelling
    capabilities = fields.Dict(allow_none=True)
    clientInfo = fields.Dict(allow_none=True)  # noqa: N815 the protocol's spelling


def initialize(server: Server, _: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    return {
        "protocolVersion": agreed_version(params["protocolVersion"]),
        "capabilities": server.capabilities,
        "serverInfo": server.info,
        "instructions": server.instructions,
    }


def ping(_: Server, __: CallContext, ___: dict[str, Any]) -> dict[str, Any]:
    return {}
