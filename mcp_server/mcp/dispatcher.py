"""Message → era → method → handler → answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
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
    StoreUnavailable,
    TokenRequired,
)
from mcp_server.mcp import jsonrpc, stateless
from mcp_server.mcp.asking import InputRequired
from mcp_server.mcp.context import LEVELS, CallContext
from mcp_server.mcp.conversation import Conversation, HandshakeConversation, Outlet, StatelessConversation, answer_topic
from mcp_server.mcp.eras import LOG_LEVEL_KEY, STATELESS, AnyEra
from mcp_server.mcp.jsonrpc import Batch, Malformed, Message, Notification, Request, RequestId, Response
from mcp_server.mcp.methods import NOTIFICATIONS
from mcp_server.mcp.methods.method import Method, NotificationMethod, never
from mcp_server.mcp.server import Server
from mcp_server.mcp.sessions import Session
from mcp_server.principal import Principal
from mcp_server.validation import load

LogUnexpected: TypeAlias = Callable[[Exception, str], None]
"""Takes what went wrong and the method in which it did; called while the exception is being handled."""

CANCELLED = "notifications/cancelled"
LONGEST_ANSWER = 250_000
"""Bytes of the answer to a question of ours: it is kept for a while where every worker reads it."""


@dataclass(slots=True)  # not frozen: made for every call, and freezing costs three times as much
class Delivery:
    """How a message came: from whom, in which era, and until when it must be answered.

    `header` tells what HTTP said beside the body. Without an `outlet` nothing can be said before the answer.
    """

    principal: Principal | None
    deadline: Deadline
    era: AnyEra
    header: stateless.Header
    session: Session | None = None
    outlet: Outlet | None = None


@dataclass(slots=True)  # not frozen: made for every call, and freezing costs three times as much
class Reply:
    """What goes back over HTTP, and what the access log and the metrics may say of it.

    `method` and `tool` are names of ours or None, never a text of the caller's. `error_code` is that of an error object;
    `is_error` is also true of a tool result with `isError`, and of a batch with either in it. `session_id`: of the session that it begins.
    """

    status: int
    body: bytes | None
    method: str | None = None
    tool: str | None = None
    is_error: bool = False
    error_code: int | None = None
    session_id: str | None = None


class Dispatcher:
    def __init__(self, methods: Iterable[Method], server: Server, log_unexpected: LogUnexpected) -> None:
        served = [
            method for method in methods
            if (method.capability is None or method.capability in server.capabilities)
            and (method.extension is None or method.extension in server.extensions)]
        self._handshake = {method.name: method for method in served if method.handshake}
        self._stateless = {method.name: method for method in served if method.stateless}
        self._notifications = {row.name: row for row in NOTIFICATIONS}
        self._server = server
        self._log_unexpected = log_unexpected

    def open_to_anyone(self, message: Message | Batch) -> bool:
        """Whether the message may be answered without a credential. A batch may not, nor may what is malformed."""
        row: Method | NotificationMethod | None = None
        if isinstance(message, Request):
            row = self._handshake.get(message.method)
        elif isinstance(message, Notification):
            row = self._notifications.get(message.method)
        return row is not None and row.open_to_anyone

    def at_once(self, message: Message | Batch) -> bool:
        """Whether the answer comes without anything said before it, and too soon to be cancelled."""
        if not isinstance(message, Request):
            return True
        method = self._handshake.get(message.method) or self._stateless.get(message.method)
        return method is None or method.at_once is None or method.at_once(self._server, message.params)

    def only_streams(self, message: Message | Batch) -> bool:
        """Whether the answer has no other form than a stream, whatever the client says that it reads."""
        method = self._stateless.get(message.method) if isinstance(message, Request) else None
        return method is not None and method.at_once is never

    def known(self, message: Message | Batch) -> str | None:
        """The method, where it is one of ours; for the log of what is never answered."""
        return message.method if isinstance(message, Request) and (message.method in self._handshake or message.method in self._stateless) else None

    def dispatch(self, message: Message | Batch, delivery: Delivery) -> Reply:
        """The answer to what `jsonrpc.parse` returned.

        Raises BearerError or RequestRefused for a single message that HTTP has to refuse, and StoreUnavailable for one that is never answered.
        """
        if delivery.principal is None and not self.open_to_anyone(message):
            raise TokenRequired("This needs an access token.")
        era = delivery.era
        if isinstance(message, Malformed):
            return _failure(message.id, message.error, era)
        if isinstance(message, Request):
            return self._answer(message, delivery)
        if isinstance(message, list):
            if not era.batches:
                return _failure(None, InvalidMessage(f"MCP {era.version} has no batches: send one message a request."), era)
            return self._answer_batch(message, delivery)
        return self._accept(message, delivery)

    def _accept(self, message: Message, delivery: Delivery) -> Reply:
        """What is never answered. In the handshake era it may be about a call that runs in another worker."""
        era, session = delivery.era, delivery.session
        named = message.method if isinstance(message, Notification) and message.method in self._notifications else None
        if era.stateless:
            if isinstance(message, Response):
                return _failure(None, InvalidMessage(f"MCP {era.version} has no responses by clients: send the call again with its answers."), era)
            return Reply(202, None, named)
        if isinstance(message, Response) and session is not None and isinstance(message.id, str):
            if len(jsonrpc.dumps(message.content)) > LONGEST_ANSWER:
                return _failure(message.id, InvalidMessage(f"An answer has at most {LONGEST_ANSWER} bytes. Send a shorter one, or an error."), era)
            self._server.switchboard.publish(answer_topic(session, message.id), message.content)
        if named == CANCELLED and isinstance(message, Notification) and isinstance(message.params, dict):
            self._cancel(message.params.get("requestId"), delivery.principal, session)
        return Reply(202, None, named)

    def _cancel(self, request_id: Any, principal: Principal | None, session: Session | None) -> None:
        if isinstance(request_id, str | int):
            self._server.switchboard.publish(_cancel_topic(principal, session, request_id), None)

    def _answer(self, request: Request, delivery: Delivery) -> Reply:
        era = delivery.era
        call = CallContext(delivery.principal, delivery.deadline, request.id, era, delivery.session)
        method: Method | None = None
        named: str | None = None
        try:
            meta = stateless.check(request, delivery.header) if era.stateless else request.params.get("_meta")
            method = self._method(request, era)
            if era.stateless and method.check_headers is not None:
                method.check_headers(self._server, request.params, delivery.header)
            if method.scope is not None:
                call.require_scope(method.scope)
            params = load(method.params, request.params, InvalidParams)
            named = params[method.named_by] if method.named_by else None
            if isinstance(meta, dict):
                call.meta = meta
            if delivery.outlet is None:
                result = method.handler(self._server, call, params)
            else:
                result = self._answer_beside(method, request, call, params, delivery.outlet)
            body = jsonrpc.dumps(jsonrpc.result(request.id, era.shape(result, self._server.info, method.cache_scope)))
        except (BearerError, RequestRefused):
            raise
        except InputRequired as needed:
            return Reply(200, self._ask(needed, request, call), request.method, named)
        except JsonRpcError as error:
            return _failure(request.id, error, era, method)
        except DependencyUnavailable as error:
            return _failure(request.id, InternalError(error.message), era, method, named)
        except Exception as error:  # noqa: BLE001 the last resort: the caller gets an answer, the log gets everything
            self._log_unexpected(error, request.method if method is None else method.name)
            return _failure(request.id, InternalError("The server could not do this. The failure is logged."), era, method, named)
        return Reply(200, body, method.name, named, is_error=result.get("isError", False), session_id=call.begun_session)

    def _method(self, request: Request, era: AnyEra) -> Method:
        method = (self._stateless if era.stateless else self._handshake).get(request.method)
        if method is None:
            raise MethodNotFound(f"Unknown method: {request.method[: jsonrpc.LONGEST_NAME]!r}.")
        return method

    def _answer_beside(self, method: Method, request: Request, call: CallContext, params: dict[str, Any], outlet: Outlet) -> dict[str, Any]:
        """With an outlet: the handler can report, ask and be cancelled."""
        call.conversation = self._conversation(request, call, outlet)
        call.progress_token = token = progress_token(request)
        if isinstance(token, str) and len(token) > jsonrpc.LONGEST_ID:
            raise InvalidParams(f"A `progressToken` has at most {jsonrpc.LONGEST_ID} characters.")
        with self._cancellable(call, outlet):
            return method.handler(self._server, call, params)

    def _conversation(self, request: Request, call: CallContext, outlet: Outlet) -> Conversation:
        if not call.era.stateless:
            return HandshakeConversation(outlet, call.session, self._server.switchboard)
        if call.meta.get(LOG_LEVEL_KEY) not in (None, *LEVELS):
            raise InvalidParams(f"The log level must be one of: {', '.join(LEVELS)}.")
        given = request.params.get("inputResponses", {})
        if not isinstance(given, dict):
            raise InvalidParams("`inputResponses` must be an object.")
        known = self._server.states.open(request.params.get("requestState"), call.principal, request.method, request.params)
        return StatelessConversation(outlet, call.meta, known, given)

    def _cancellable(self, call: CallContext, outlet: Outlet | None) -> ExitStack:
        """While the block runs, the caller can cancel it, from any worker. In the stateless era closing the stream does so."""
        listening = ExitStack()
        if outlet is not None and not call.era.stateless and call.request_id is not None:
            topic = _cancel_topic(call.principal, call.session, call.request_id)
            with suppress(StoreUnavailable):  # what cannot be cancelled can still be answered
                listening.enter_context(self._server.switchboard.listening(topic, lambda _: outlet.cancel()))
        return listening

    def _ask(self, needed: InputRequired, request: Request, call: CallContext) -> bytes:
        result = {
            "resultType": "input_required",
            "inputRequests": {key: {"method": question.method, "params": question.params} for key, question in needed.questions.items()},
            "requestState": self._server.states.seal(needed.answers, call.principal, request.method, request.params),
        }
        return jsonrpc.dumps(jsonrpc.result(request.id, call.era.shape(result, self._server.info, None)))

    def _answer_batch(self, batch: Batch, delivery: Delivery) -> Reply:
        replies = [self._answer_member(message, delivery) for message in batch]
        bodies = [reply.body for reply in replies if reply.body is not None]
        if not bodies:
            return Reply(202, None, "batch")
        status = 400 if all(isinstance(message, Malformed) for message in batch) else 200
        return Reply(status, b"[" + b",".join(bodies) + b"]", "batch", is_error=any(reply.is_error for reply in replies))

    def _answer_member(self, message: Message, delivery: Delivery) -> Reply:
        era = delivery.era
        if isinstance(message, Malformed):
            return _failure(message.id, message.error, era)
        if not isinstance(message, Request):
            return self._accept(message, delivery)
        method = self._handshake.get(message.method)
        if method is not None and method.alone:
            return _failure(message.id, InvalidMessage(f"{method.name} cannot be part of a batch."), era, method)
        try:
            return self._answer(message, delivery)
        except (BearerError, RequestRefused) as error:
            return refusal(message.id, error)


def _failure(id: RequestId | None, error: JsonRpcError, era: AnyEra, method: Method | None = None, named: str | None = None) -> Reply:
    code = era.code_of(error)
    body = jsonrpc.dumps(jsonrpc.error(id, error, code))
    return Reply(era.status_of(error), body, method.name if method else None, named, is_error=True, error_code=code)


def refusal(id: RequestId, error: Exception) -> Reply:
    """Inside a batch, or on a stream that has begun, HTTP cannot speak for one answer, so the status it would have had is the code.

    JSON-RPC and MCP reserve -32768 to -32000 only.
    """
    if not isinstance(error, BearerError | RequestRefused):
        return _failure(id, InternalError("The server could not do this. Call again."), STATELESS)
    data: dict[str, Any] | None = None
    if isinstance(error, BearerError) and error.scopes:
        data = {"scope": " ".join(sorted(error.scopes))}
    body = jsonrpc.dumps(jsonrpc.error_object(id, error.status, error.message or "Refused", data))
    return Reply(200, body, is_error=True, error_code=error.status)


def progress_token(request: Request) -> str | int | None:
    """What progress is to be told under; None: the caller does not want to know."""
    meta = request.params.get("_meta")
    token = meta.get("progressToken") if isinstance(meta, dict) else None
    return token if isinstance(token, str | int) and not isinstance(token, bool) else None


def _cancel_topic(principal: Principal | None, session: Session | None, request_id: RequestId) -> str:
    """Whose call it is: of the session, else of the principal, who alone can cancel it."""
    whose = session.name if session else repr((principal.client_id, principal.subject) if principal else None)
    return f"cancel:{hashlib.sha256(f'{whose} {request_id!r}'.encode('utf-8', 'surrogatepass')).hexdigest()}"
