"""What a row of METHODS is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from marshmallow import EXCLUDE, Schema

from mcp_server.mcp.context import CallContext
from mcp_server.mcp.server import Server

Handler: TypeAlias = Callable[[Server, CallContext, dict[str, Any]], dict[str, Any]]


class Params(Schema):
    """Of a request. Members that a later revision adds are no error."""

    class Meta:
        unknown = EXCLUDE


@dataclass(frozen=True, slots=True)
class Method:
    """A request that is served.

    `scope` is needed before the params are read. `open_to_anyone`: also without a credential. `alone`: never in a batch.
    `named_by` is the param that names the thing asked for.
    """

    name: str
    params: Params
    handler: Handler
    scope: str | None = None
    open_to_anyone: bool = False
    alone: bool = False
    named_by: str | None = None


@dataclass(frozen=True, slots=True)
class NotificationMethod:
    """A notification that we know. All are accepted; none has anything to do in a server without sessions."""

    name: str
    open_to_anyone: bool = False
