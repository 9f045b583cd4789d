"""What a row of METHODS is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from marshmallow import EXCLUDE, Schema, fields, validate

from mcp_server.mcp.context import CallContext
from mcp_server.mcp.pages import LONGEST_CURSOR, NOT_OURS
from mcp_server.mcp.server import Server
from mcp_server.mcp.stateless import Header

Handler: TypeAlias = Callable[[Server, CallContext, dict[str, Any]], dict[str, Any]]


class Params(Schema):
    """Of a request. Members that a later revision adds are no error."""

    class Meta:
        unknown = EXCLUDE


class ListParams(Params):
    """Of a list in pages. An empty cursor is that of the first page."""

    cursor = fields.String(allow_none=True, validate=validate.Length(max=LONGEST_CURSOR, error=NOT_OURS))


@dataclass(frozen=True, slots=True)
class Method:
    """A request that is served.

    `scope` is needed before the params are read. `open_to_anyone`: also without a credential. `alone`: never in a batch.
    `named_by` is the param that names the thing asked for. `handshake`, `stateless`: the eras that have it. `capability`, `extension`: served only
    where the server has it. `cache_scope`: the client may keep the result, `public` for everybody or `private`. `at_once`: whether these params are
    answered without anything said before; None: always. `check_headers`: what headers must repeat of the params.
    """

    name: str
    params: Params
    handler: Handler
    scope: str | None = None
    open_to_anyone: bool = False
    alone: bool = False
    named_by: str | None = None
    handshake: bool = True
    stateless: bool = True
    capability: str | None = None
    extension: str | None = None
    cache_scope: str | None = None
    at_once: Callable[[Server, Mapping[str, Any]], bool] | None = None
    check_headers: Callable[[Server, Mapping[str, Any], Header], None] | None = None


def never(_: Server, __: Mapping[str, Any]) -> bool:
    """For `at_once` of a method that always runs beside its connection."""
    return False


@dataclass(frozen=True, slots=True)
class NotificationMethod:
    """A notification that we know. All are accepted, and none is answered."""

    name: str
    open_to_anyone: bool = False
