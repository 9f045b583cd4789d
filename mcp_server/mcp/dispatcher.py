"""Message → method → handler → answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from mcp_server.deadline import Deadline
from mcp_server.errors import (
    BearerError,
    DependencyUnavailable,
    InternalError,
    InvalidMessage,
    InvalidParams,
    JsonRpcError,
    MethodNotFound,
    RequestRefused,
    TokenRequired,
)
from mcp_server.mcp import jsonrpc
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.eras import revision, status_of
from mcp_server.mcp.jsonrpc import Batch, Malformed, Message, Notification, Request, RequestId
from mcp_server.mcp.methods import NOTIFICATIONS
from mcp_server.mcp.methods.method import Method, NotificationMethod
from mcp_server.mcp.server import Server
from mcp_server.principal import Principal
from mcp_server.validation import load

LogUnexpected: TypeAlias = Callable[[Exception, str], None]
"""Takes what went wrong and the method in which it did; called while the exception is being handled."""


@dataclass(slots=True)  # not frozen: made for every call, and freezing costs three times as much
class Reply:
    """What goes back over HTTP, and what the access log and the metrics may say of it.

    `method` and `tool` are names of ours or None, never a text of the caller's. `error_code` is that of an error object;
    `is_error` is also true of a tool result with `isError`, and of a batch with either in it.
    """

    status: int
    body: bytes | None
    method: str | None = None
    tool: str | None = None
    is_error: bool = False
    error_code: int | None = None


class Dispatcher:
    def __init__(self, methods: Iterable[Method], server: Server, log_unexpected: LogUnexpected) -> None:
        self._methods = {method.name: method for method in methods}
        self._notifications = {row.name: row for row in NOTIFICATIONS}
        self._server = server
        self._log_unexpected = log_unexpected

    def open_to_anyone(self, message: Message | Batch) -> bool:
        """Whether the message may be answered without a credential. A batch may not, nor may what is malformed."""
        row: Method | NotificationMethod | None = None
        if isinstance(message, Request):
            row = self._methods.get(message.method)
        elif isinstance(message, Notification):
            row = self._notifications.get(message.method)
        return row is not None and row.open_to_anyone

    def dispatch(self, message: Message | Batch, principal: Principal | None, protocol_version: str | None, deadline: Deadline) -> Reply:
        """The answer to what `jsonrpc.parse` returned. `protocol_version` is the header's value.

        Raises BearerError or RequestRefused for a single request that HTTP has to refuse; nothing else.
        """
        if principal is None and not self.open_to_anyone(message):
            raise TokenRequired("This needs an access token.")
        if isinstance(message, Malformed):
            return _failure(message.id, message.error, status=status_of(message.error))
        try:
            spoken = revision(protocol_version)
        except InvalidMessage as error:
            return _failure(message.id if isinstance(message, Request) else None, error, status=400)
        if isinstance(message, Request):
            return self._answer(message, principal, deadline)
        if isinstance(message, list):
            if not spoken.batches:
                return _failure(None, InvalidMessage(f"MCP {spoken.version} has no batches: send one message a request."), status=400)
            return self._answer_batch(message, principal, deadline)
        return self._accept(message)

    def _accept(self, message: Message) -> Reply:
        if isinstance(message, Notification) and message.method in self._notifications:
            return Reply(202, None, message.method)
        return Reply(202, None)

    def _answer(self, request: Request, principal: Principal | None, deadline: Deadline) -> Reply:
        method = self._methods.get(request.method)
        if method is None:
            return _failure(request.id, MethodNotFound(f"Unknown method: {request.method[: jsonrpc.LONGEST_NAME]!r}."))
        call = CallContext(principal, deadline, request.id)
        named: str | None = None
        try:
            if method.scope is not None:
                call.require_scope(method.scope)
            params = load(method.params, request.params, InvalidParams)
            named = params[method.named_by] if method.named_by else None
            result = method.handler(self._server, call, params)
            body = jsonrpc.dumps(jsonrpc.result(request.id, result))
        except (BearerError, RequestRefused):
            raise
        except JsonRpcError as error:
            return _failure(request.id, error, method.name)
        except DependencyUnavailable as error:
            return _failure(request.id, InternalError(error.message), method.name, named)
        except Exception as error:  # noqa: BLE001 the last resort: the caller gets an answer, the log gets everything
            self._log_unexpected(error, method.name)
            return _failure(request.id, InternalError("The server could not do this. The failure is logged."), method.name, named)
        return Reply(200, body, method.name, named, is_error=result.get("isError", False))

    def _answer_batch(self, batch: Batch, principal: Principal | None, deadline: Deadline) -> Reply:
        replies = [self._answer_member(message, principal, deadline) for message in batch]
        bodies = [reply.body for reply in replies if reply.body is not None]
        if not bodies:
            return Reply(202, None, "batch")
        status = 400 if all(isinstance(message, Malformed) for message in batch) else 200
        return Reply(status, b"[" + b",".join(bodies) + b"]", "batch", is_error=any(reply.is_error for reply in replies))

    def _answer_member(self, message: Message, principal: Principal | None, deadline: Deadline) -> Reply:
        if isinstance(message, Malformed):
            return _failure(message.id, message.error)
        if not isinstance(message, Request):
            return self._accept(message)
        method = self._methods.get(message.method)
        if method is not None and method.alone:
            return _failure(message.id, InvalidMessage(f"{method.name} cannot be part of a batch."), method.name)
        try:
            return self._answer(message, principal, deadline)
        except (BearerError, RequestRefused) as error:
            return _refusal(message.id, error)


def _failure(id: RequestId | None, error: JsonRpcError, method: str | None = None, tool: str | None = None, *, status: int = 200) -> Reply:
    return Reply(status, jsonrpc.dumps(jsonrpc.error(id, error)), method, tool, is_error=True, error_code=error.code)


def _refusal(id: RequestId, error: BearerError | RequestRefused) -> Reply:
    """Inside a batch HTTP cannot speak for one member, so the status it would have had is the code.

    JSON-RPC and MCP reserve -32768 to -32000 only.
    """
    data: dict[str, Any] | None = None
    if isinstance(error, BearerError) and error.scopes:
        data = {"scope": " ".join(sorted(error.scopes))}
    body = jsonrpc.dumps(jsonrpc.error_object(id, error.status, error.message or "Refused", data))
    return Reply(200, body, is_error=True, error_code=error.status)
