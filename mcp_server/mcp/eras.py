"""The revisions of MCP that this server speaks: what differs between them on the wire, and nowhere else.

Handshake era: `initialize` agrees on a revision. Stateless era (2026-07-28): every request names its own. The URL and the
table of methods are the same; the shape of headers, errors and results is what belongs here.
"""

from __future__ import annotations

from dataclasses import dataclass

from mcp_server.errors import InvalidMessage, JsonRpcError, ParseError


@dataclass(frozen=True, slots=True)
class Revision:
    """One protocol version. `batches`: a body may be an array of messages."""

    version: str
    batches: bool = False


HANDSHAKE_REVISIONS = (
    Revision("2024-11-05", batches=True),  # never forbade them
    Revision("2025-03-26", batches=True),
    Revision("2025-06-18"),
    Revision("2025-11-25"),
)
HANDSHAKE_VERSIONS = tuple(revision.version for revision in HANDSHAKE_REVISIONS)
NEWEST_HANDSHAKE_VERSION = HANDSHAKE_VERSIONS[-1]

STATELESS_VERSIONS = ("2026-07-28",)
"""Known by name, so that `initialize` answers them well; not yet served."""

ASSUMED_VERSION = "2025-03-26"
"""Of a request without an MCP-Protocol-Version header (2025-06-18, transports)."""

OFFERED_VERSION = "2025-06-18"
"""To a client that asks for a version nobody knows: the newest that ServiceNow was seen to speak."""

_REVISIONS = {revision.version: revision for revision in HANDSHAKE_REVISIONS}


def revision(header: str | None) -> Revision:
    """The revision that an MCP-Protocol-Version header names. Raises InvalidMessage for one that is not served.

    It may differ from the version that `initialize` agreed on: there are no sessions to compare it with.
    """
    named = (header or "").strip() or ASSUMED_VERSION
    try:
        return _REVISIONS[named]
    except KeyError:
        raise InvalidMessage(
            f"MCP-Protocol-Version {named[:32]!r} is not supported.",
            data={"supported": list(HANDSHAKE_VERSIONS), "requested": named[:32]},
        ) from None


def agreed_version(requested: str) -> str:
    """What `initialize` answers: the version asked for wherever it is known."""
    if requested in _REVISIONS:
        return requested
    return NEWEST_HANDSHAKE_VERSION if requested in STATELESS_VERSIONS else OFFERED_VERSION


def status_of(error: JsonRpcError) -> int:
    """HTTP status of an error. A handshake client takes 4xx for a broken transport: only what is no request gets it."""
    return 400 if isinstance(error, ParseError | InvalidMessage) else 200
