"""Beginning to talk: the handshake, or the discovery that replaced it; being alive; how much the client wants to hear."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from mcp_server.errors import InvalidParams
from mcp_server.mcp.context import LEVELS, CallContext
from mcp_server.mcp.eras import NEWEST_HANDSHAKE_VERSION, SERVER_INFO_KEY, STATELESS_VERSIONS, agreed_version
from mcp_server.mcp.methods.method import Params
from mcp_server.mcp.server import Server


class InitializeParams(Params):
    """The name of the client is checked for its shape; nothing depends on it."""

    protocolVersion = fields.String(required=True)  # noqa: N815 the protocol's spelling
    capabilities = fields.Dict(allow_none=True)
    clientInfo = fields.Dict(allow_none=True)  # noqa: N815 the protocol's spelling


class SetLevelParams(Params):
    level = fields.String(required=True, validate=validate.OneOf(LEVELS))


def initialize(server: Server, call: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    version = agreed_version(params["protocolVersion"])
    call.begun_session = server.sessions.begin(version, params.get("capabilities") or {}, call.principal)
    return {
        "protocolVersion": version,
        "capabilities": server.capabilities,
        "serverInfo": server.presentation if version == NEWEST_HANDSHAKE_VERSION else server.info,
        "instructions": server.instructions,
    }


def discover(server: Server, _: CallContext, __: dict[str, Any]) -> dict[str, Any]:
    return {
        "supportedVersions": list(STATELESS_VERSIONS),
        "capabilities": server.stateless_capabilities,
        "instructions": server.instructions,
        "_meta": {SERVER_INFO_KEY: server.presentation},
    }


def ping(_: Server, __: CallContext, ___: dict[str, Any]) -> dict[str, Any]:
    return {}


def set_level(server: Server, call: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    """Kept with the session. Without one there is nowhere to send log lines to."""
    if call.principal is None:
        raise InvalidParams("A log level belongs to a session.")
    if call.session is not None:
        server.sessions.store.set_log_level(call.session.name, params["level"], call.session.until)
    return {}
