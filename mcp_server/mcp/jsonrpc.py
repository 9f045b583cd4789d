"""JSON-RPC 2.0: bytes to messages, answers to bytes.

Strict on the way in, because two readers of one body must not see two different calls: exact member names, no member
twice, exact integers. On the way out always valid JSON, whatever a tool returned.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from mcp_server.errors import InvalidMessage, InvalidParams, JsonRpcError, ParseError

DEEPEST = 100
MOST_MEMBERS = 50
LONGEST_NAME = 64
LONGEST_ID = 1000
"""Characters: an id comes back with everything that is said about its request."""
LONGEST_EXPLANATION = 200
BAD_ID = f"`id` must be a string of at most {LONGEST_ID} characters, or an integer."

RequestId: TypeAlias = str | int


@dataclass(slots=True)  # not frozen: made for every call, and freezing costs three times as much
class Request:
    """Is answered, once, under its id."""

    id: RequestId
    method: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notification:
    """Is never answered. `params` are as they came: nothing checks them."""

    method: str
    params: Any = None


@dataclass(frozen=True, slots=True)
class Response:
    """The client's answer to a request of ours. `content` has its `result` or its `error`."""

    id: RequestId | None
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Malformed:
    """Not a message. `id` is the request's wherever it could be read."""

    id: RequestId | None
    error: JsonRpcError


Message: TypeAlias = Request | Notification | Response | Malformed
Batch: TypeAlias = list[Message]


def parse(body: bytes) -> Message | Batch:
    """The message or the batch in `body`. Never raises: what is wrong with it comes back as Malformed."""
    try:
        value = _loads(body)
    except ParseError as error:
        return Malformed(None, error)
    if not isinstance(value, list):
        return _message(value)
    if not value:
        return Malformed(None, InvalidMessage("A batch holds at least one message."))
    if len(value) > MOST_MEMBERS:
        return Malformed(None, InvalidMessage(f"A batch holds at most {MOST_MEMBERS} messages, not {len(value)}."))
    return [_message(member) for member in value]


def result(id: RequestId, value: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "result": value}


def error(id: RequestId | None, failure: JsonRpcError, code: int | None = None) -> dict[str, Any]:
    """Without an `id` member where the request's could not be read: MCP's schema has no `null` there. `code`: if it is not the failure's own."""
    return error_object(id, code or failure.code, failure.message or _MEANINGS.get(failure.code, "Error"), failure.data)


def error_object(id: RequestId | None, code: int, message: str, data: Any = None) -> dict[str, Any]:
    shown: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        shown["data"] = data
    return {"jsonrpc": "2.0", "error": shown} if id is None else {"jsonrpc": "2.0", "id": id, "error": shown}


def dumps(value: Any) -> bytes:
    """Always valid JSON: integers keep every digit, NaN and infinities become `null`, lone surrogates U+FFFD.

    Raises TypeError or ValueError for what JSON has no form for, and for what is nested without end.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(_plain(value, 0), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


_MEANINGS = {
    -32700: "Parse error",
    -32600: "Invalid request",
    -32601: "Method not found",
    -32602: "Invalid params",
    -32603: "Internal error",
}


def _loads(body: bytes) -> Any:
    try:
        value = orjson.loads(body)
        if body.count(b"[") + body.count(b"{") > DEEPEST and _too_deep(value):
            raise ParseError(f"The body is nested deeper than {DEEPEST} levels.")
        # orjson keeps the last of two equal names and rounds integers above 64 bits; this reader does neither.
        return _STRICT.decode(body.decode())
    except (ValueError, RecursionError) as failure:
        raise ParseError(f"The body is not valid JSON: {str(failure)[:LONGEST_EXPLANATION]}") from failure


def _too_deep(value: Any) -> bool:
    level: list[Any] = [[value]]
    for _ in range(DEEPEST + 1):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
    raise ValueError(f"the member {twice[:LONGEST_NAME]!r} occurs twice in one object")


_STRICT = json.JSONDecoder(object_pairs_hook=_without_doubles)


def _message(value: Any) -> Message:
    if not isinstance(value, dict):
        return Malformed(None, InvalidMessage("A message is a JSON object."))
    known_id = value.get("id") if _is_id(value.get("id")) else None
    try:
        return _checked(value, known_id)
    except JsonRpcError as error:
        return Malformed(known_id, error)


def _checked(value: dict[str, Any], known_id: RequestId | None) -> Message:
    if value.get("jsonrpc") != "2.0":
        raise InvalidMessage('`jsonrpc` must be "2.0".')
    if "method" not in value:
        return _response(value, known_id)
    method, params = value["method"], value.get("params")
    if not isinstance(method, str):
        raise InvalidMessage("`method` must be a string.")
    if "id" not in value:
        return Notification(method, params)
    if known_id is None:
        raise InvalidMessage(BAD_ID)
    if params is not None and not isinstance(params, dict):
        raise InvalidParams("`params` must be an object.")
    return Request(known_id, method, params or {})


def _response(value: dict[str, Any], known_id: RequestId | None) -> Response:
    if ("result" in value) == ("error" in value):
        raise InvalidMessage("A message has a `method`, or one of `result` and `error`.")
    if known_id is None and value.get("id") is not None:
        raise InvalidMessage(BAD_ID)
    return Response(known_id, {name: value[name] for name in ("result", "error") if name in value})


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_ID
    return isinstance(value, int) and not isinstance(value, bool)


_DEEPEST_OUT = 200


def _plain(value: Any, depth: int) -> Any:
    """The value in what `json` can write without failing."""
    if depth > _DEEPEST_OUT:
        raise TypeError(f"nested deeper than {_DEEPEST_OUT} levels")
    if isinstance(value, str):
        return _scalar(value)
    if isinstance(value, dict):
        return {_scalar(str(name)): _plain(member, depth + 1) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member, depth + 1) for member in value]
    if isinstance(value, int):
        return value
    return orjson.loads(orjson.dumps(value))


def _scalar(text: str) -> str:
    """The text in Unicode scalar values: surrogates that form a pair are joined, others replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
