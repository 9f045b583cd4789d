"""What a request of the stateless era must say of itself before it is dispatched (2026-07-28, transports and versioning).

The order is that of the specification: `_meta`, the headers against the body, the version. Methods and params come after.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mcp_server.errors import HeaderMismatch, InvalidParams, UnsupportedVersion
from mcp_server.mcp.eras import CAPABILITIES_KEY, STATELESS_VERSIONS, VERSION_KEY
from mcp_server.mcp.jsonrpc import Request

Header = Callable[[str], str | None]
"""The value of a header of the request, by its name."""

NAMED_BY = {
    "tools/call": "name", "prompts/get": "name", "resources/read": "uri", "tasks/get": "taskId", "tasks/update": "taskId", "tasks/cancel": "taskId"}
"""The param that the header Mcp-Name repeats."""

_ENCODED = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_WHOLE = re.compile(r"-?[0-9]{1,18}(\.0+)?")
LONGEST_TOLD = 64


def check(request: Request, header: Header) -> Mapping[str, Any]:
    """The request's `_meta`. Raises InvalidParams, HeaderMismatch or UnsupportedVersion."""
    meta = request.params.get("_meta")
    if not isinstance(meta, dict):
        raise InvalidParams("`params._meta` is missing: every request of this revision carries it.")
    for key, kind in ((VERSION_KEY, str), (CAPABILITIES_KEY, dict)):
        if not isinstance(meta.get(key), kind):
            raise InvalidParams(f"`params._meta` must have {key!r}, a JSON {'string' if kind is str else 'object'}.")
    _check_headers(request, meta[VERSION_KEY], header)
    if meta[VERSION_KEY] not in STATELESS_VERSIONS:
        raise UnsupportedVersion(
            "This protocol version is not served without a handshake.",
            data={"supported": list(STATELESS_VERSIONS), "requested": meta[VERSION_KEY][:LONGEST_TOLD]})
    return meta


def _check_headers(request: Request, version: str, header: Header) -> None:
    if _value(header("MCP-Protocol-Version")) != version:
        raise HeaderMismatch("The header MCP-Protocol-Version is missing, or differs from the version in `_meta`.")
    if _value(header("Mcp-Method")) != request.method:
        raise HeaderMismatch("The header Mcp-Method is missing, or differs from `method`.")
    named_by = NAMED_BY.get(request.method)
    if named_by is None or not isinstance(request.params.get(named_by), str):
        return  # what is missing in the params is told by the method
    if _value(header("Mcp-Name")) != request.params[named_by]:
        raise HeaderMismatch(f"The header Mcp-Name is missing, or differs from `{named_by}`.")


def check_arguments(schema: Mapping[str, Any], arguments: Any, header: Header) -> None:
    """The headers Mcp-Param-* that an input schema asks for by `x-mcp-header`. Raises HeaderMismatch."""
    for path, token, kind in _annotated(schema, ()):
        name, argument = f"Mcp-Param-{token}", _at(arguments, path)
        told = header(name)
        if (argument is None) != (told is None):
            raise HeaderMismatch(f"The header {name} and the argument {'.'.join(path)} must be there together.")
        if told is not None and not _same(_value(told), argument, kind):
            raise HeaderMismatch(f"The header {name} differs from the argument {'.'.join(path)}.")


def _annotated(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    for name, property_schema in (schema.get("properties") or {}).items():
        if isinstance(property_schema, dict):
            if "x-mcp-header" in property_schema:
                yield (*path, name), property_schema["x-mcp-header"], property_schema.get("type")
            yield from _annotated(property_schema, (*path, name))


def _at(arguments: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        arguments = arguments.get(name) if isinstance(arguments, dict) else None
    return arguments


def _same(told: str | None, argument: Any, kind: Any) -> bool:
    if told is None:
        return False
    if isinstance(argument, bool):
        return told == ("true" if argument else "false")
    if kind == "integer" and isinstance(argument, int | float) and _WHOLE.fullmatch(told):
        return int(told.partition(".")[0]) == argument
    return told == str(argument)


def _value(told: str | None) -> str | None:
    """What a header says: without the blanks around it, and decoded where it is encoded. None for what cannot be decoded."""
    if told is None:
        return None
    told = told.strip(" \t")
    encoded = _ENCODED.fullmatch(told)
    if encoded is None:
        return told
    try:
        decoded = base64.b64decode(encoded[1], validate=True)
        return decoded.decode() if base64.b64encode(decoded).decode() == encoded[1] else None
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
