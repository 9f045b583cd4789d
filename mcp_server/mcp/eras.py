"""The revisions of MCP that this server speaks: what differs between them on the wire, and nowhere else.

Handshake era: `initialize` agrees on a revision. Stateless era (2026-07-28): every request names its own, and says what its
client can do. The URL, the methods and the tools are the same for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from mcp_server.errors import (
    HeaderMismatch,
    InvalidMessage,
    InvalidParams,
    JsonRpcError,
    MethodNotFound,
    MissingCapability,
    ParseError,
    ResourceNotFound,
    UnsupportedVersion,
)
from mcp_server.mcp.jsonrpc import Batch, Message, Notification, Request

META = "io.modelcontextprotocol/"
VERSION_KEY, CAPABILITIES_KEY, LOG_LEVEL_KEY, SERVER_INFO_KEY = (
    META + name for name in ("protocolVersion", "clientCapabilities", "logLevel", "serverInfo"))

ASSUMED_VERSION = "2025-03-26"
"""Of a request without an MCP-Protocol-Version header (2025-06-18, transports)."""

OFFERED_VERSION = "2025-06-18"
"""To a client that asks for a version nobody knows: the newest that ServiceNow was seen to speak."""

RESOURCE_NOT_FOUND = -32002
FRESH_MILLISECONDS = 60_000
"""For how long a list may be kept by the client: what is listed changes when the server is reloaded."""


class Era(Protocol):
    """How one era says things."""

    version: str
    stateless: bool
    batches: bool

    def status_of(self, error: JsonRpcError) -> int:
        """The HTTP status under which an error goes out."""

    def code_of(self, error: JsonRpcError) -> int: ...
    def shape(self, result: dict[str, Any], server_info: Mapping[str, Any], cache_scope: str | None) -> dict[str, Any]:
        """The result as the era has it. `cache_scope`: of one that a client may keep."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """2024-11-05 to 2025-11-25. `batches`: a body may be an array of messages."""

    version: str
    batches: bool = False
    stateless: bool = False

    def status_of(self, error: JsonRpcError) -> int:
        """A client of this era takes 4xx for a broken transport: only what is no request gets it."""
        return 400 if isinstance(error, ParseError | InvalidMessage) else 200

    def code_of(self, error: JsonRpcError) -> int:
        return RESOURCE_NOT_FOUND if isinstance(error, ResourceNotFound) else error.code

    def shape(self, result: dict[str, Any], server_info: Mapping[str, Any], cache_scope: str | None) -> dict[str, Any]:  # noqa: ARG002 the era's signature
        return result


@dataclass(frozen=True, slots=True)
class Stateless:
    """2026-07-28: every request stands for itself."""

    version: str = "2026-07-28"
    batches: bool = False
    stateless: bool = True

    def status_of(self, error: JsonRpcError) -> int:
        if isinstance(error, MethodNotFound):
            return 404
        bad = ParseError | InvalidMessage | InvalidParams | HeaderMismatch | MissingCapability | UnsupportedVersion
        return 400 if isinstance(error, bad) else 200

    def code_of(self, error: JsonRpcError) -> int:
        return error.code

    def shape(self, result: dict[str, Any], server_info: Mapping[str, Any], cache_scope: str | None) -> dict[str, Any]:
        shaped = {"resultType": "complete", **result, "_meta": {SERVER_INFO_KEY: server_info, **result.get("_meta", {})}}
        if cache_scope is not None and shaped["resultType"] == "complete":
            shaped = {"ttlMs": FRESH_MILLISECONDS, "cacheScope": cache_scope, **shaped}
        return shaped


HANDSHAKE_ERAS = (
    Handshake("2024-11-05", batches=True),  # never forbade them
    Handshake("2025-03-26", batches=True),
    Handshake("2025-06-18"),
    Handshake("2025-11-25"),
)
STATELESS = Stateless()
STATELESS_VERSIONS = (STATELESS.version,)
HANDSHAKE_VERSIONS = tuple(era.version for era in HANDSHAKE_ERAS)
NEWEST_HANDSHAKE_VERSION = HANDSHAKE_VERSIONS[-1]
_HANDSHAKES = {era.version: era for era in HANDSHAKE_ERAS}
_ASSUMED = _HANDSHAKES[ASSUMED_VERSION]

AnyEra: TypeAlias = Handshake | Stateless


def era_of(version_header: str | None, message: Message | Batch) -> AnyEra:
    """Which era a body belongs to. A header that no handshake revision owns goes to the stateless era, whose errors a new client understands.

    A handshake client's header may differ from what `initialize` agreed on.
    """
    header = (version_header or "").strip()
    if _names_its_version(message):
        return STATELESS
    if not header:
        return _ASSUMED
    return _HANDSHAKES.get(header, STATELESS)


def _names_its_version(message: Message | Batch) -> bool:
    if not isinstance(message, Request | Notification) or not isinstance(message.params, dict):
        return False
    meta = message.params.get("_meta")
    return isinstance(meta, dict) and VERSION_KEY in meta


def agreed_version(requested: str) -> str:
    """What `initialize` answers: the version asked for wherever it is known."""
    if requested in _HANDSHAKES:
        return requested
    return NEWEST_HANDSHAKE_VERSION if requested in STATELESS_VERSIONS else OFFERED_VERSION
