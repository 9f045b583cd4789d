"""Questions to the client in the middle of a call: elicitation, sampling, roots.

A tool says `call.ask("name", Elicitation(...))` and never meets an era. Handshake: the question goes out on the stream of the call, and the
answer comes as another POST, perhaps to another worker. Stateless: the call ends with `input_required`, and the client
sends it again with the answers; the tool then runs from its start, and `ask` returns what is known.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from mcp_server.clock import Clock
from mcp_server.errors import InvalidParams
from mcp_server.principal import Principal

STATE_LIFETIME = 600
"""Seconds in which a question can be answered."""
MARK = 32


class Question(Protocol):
    """Something that only the client, or the person behind it, can answer."""

    method: ClassVar[str]
    capability: ClassVar[str]

    @property
    def params(self) -> dict[str, Any]: ...
    def accepts(self, answer: Any) -> bool:
        """Whether it is an answer at all; what it says is the tool's business."""


@dataclass(frozen=True, slots=True)
class Elicitation:
    """Ask the person to fill in a form. `schema`: a flat JSON Schema object. Never for secrets."""

    message: str
    schema: Mapping[str, Any]
    method: ClassVar[str] = "elicitation/create"
    capability: ClassVar[str] = "elicitation"

    @property
    def params(self) -> dict[str, Any]:
        return {"message": self.message, "requestedSchema": dict(self.schema)}

    def accepts(self, answer: Any) -> bool:
        """`action` is accept, decline or cancel, and a form that was accepted has its fields."""
        if not isinstance(answer, dict) or answer.get("action") not in ("accept", "decline", "cancel"):
            return False
        return answer["action"] != "accept" or self._is_filled_in(answer.get("content"))

    def _is_filled_in(self, content: Any) -> bool:
        required = self.schema.get("required", ())
        return isinstance(content, dict) and all(
            _fits(content.get(name), field.get("type"), name in required) for name, field in self.schema["properties"].items())


@dataclass(frozen=True, slots=True)
class Sampling:
    """Ask the client's own model."""

    text: str
    max_tokens: int
    method: ClassVar[str] = "sampling/createMessage"
    capability: ClassVar[str] = "sampling"

    @property
    def params(self) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": {"type": "text", "text": self.text}}], "maxTokens": self.max_tokens}

    def accepts(self, answer: Any) -> bool:
        return isinstance(answer, dict) and isinstance(answer.get("content"), dict | list)


@dataclass(frozen=True, slots=True)
class ListRoots:
    """Ask which folders the client works in."""

    method: ClassVar[str] = "roots/list"
    capability: ClassVar[str] = "roots"

    @property
    def params(self) -> dict[str, Any]:
        return {}

    def accepts(self, answer: Any) -> bool:
        return isinstance(answer, dict) and isinstance(answer.get("roots"), list)


def question_of(request: Mapping[str, Any]) -> Question:
    """The question that was written down as a request of ours."""
    params = request["params"]
    match request["method"]:
        case Elicitation.method:
            return Elicitation(params["message"], params["requestedSchema"])
        case Sampling.method:
            return Sampling(params["messages"][0]["content"]["text"], params["maxTokens"])
        case _:
            return ListRoots()


class InputRequired(Exception):
    """The call cannot go on without these answers (2026-07-28). `answers`: what is known already."""

    def __init__(self, questions: Mapping[str, Question], answers: Mapping[str, Any]) -> None:
        super().__init__(", ".join(questions))
        self.questions = questions
        self.answers = answers


class RequestStates:
    """The `requestState` of a call that waits for answers: what was answered so far, sealed for this caller, this call and some minutes.

    Using one again is no more than making the same call with the same answers again, which its caller may do anyway.
    """

    def __init__(self, keys: Sequence[bytes], clock: Clock) -> None:
        """`keys`: the one that seals, then those that are still believed."""
        self._keys = keys
        self._clock = clock

    def seal(self, answers: Mapping[str, Any], principal: Principal | None, method: str, params: Mapping[str, Any]) -> str:
        content = json.dumps([int(self._clock()) + STATE_LIFETIME, _call_digest(principal, method, params), answers]).encode()
        return base64.urlsafe_b64encode(self._mark(self._keys[0], content) + content).decode()

    def open(self, state: Any, principal: Principal | None, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The answers in it; none where there is no state. Raises InvalidParams for one that is not ours, not for this call, or too old."""
        if state is None:
            return {}
        content = self._opened(state)
        if content is None:
            raise InvalidParams("`requestState` is not one that this server gave. Send the call again without it.")
        until, digest, answers = content
        if not hmac.compare_digest(digest, _call_digest(principal, method, params)):
            raise InvalidParams("`requestState` belongs to another call. Send this call again without it.")
        if until <= self._clock():
            raise InvalidParams("`requestState` has expired. Send the call again without it.")
        known: dict[str, Any] = answers
        return known

    def _opened(self, state: Any) -> list[Any] | None:
        if not isinstance(state, str):
            return None
        try:
            sealed = base64.b64decode(state.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        mark, content = sealed[:MARK], sealed[MARK:]
        if not any(hmac.compare_digest(mark, self._mark(key, content)) for key in self._keys):
            return None
        opened: list[Any] = json.loads(content)
        return opened

    @staticmethod
    def _mark(key: bytes, content: bytes) -> bytes:
        return hmac.digest(key, b"state:" + content, "sha256")


def _call_digest(principal: Principal | None, method: str, params: Mapping[str, Any]) -> str:
    """Who calls what. What changes from one try to the next is left out."""
    salient = {name: value for name, value in params.items() if name not in ("_meta", "inputResponses", "requestState")}
    whose = [principal.client_id, principal.subject] if principal else []
    return hashlib.sha256(json.dumps([whose, method, salient], sort_keys=True).encode()).hexdigest()


def _fits(value: Any, kind: Any, required: bool) -> bool:  # noqa: FBT001 one call, above
    kinds: dict[Any, Any] = {"string": str, "integer": int, "number": int | float, "boolean": bool, "array": list}
    if value is None:
        return not required
    return isinstance(value, kinds.get(kind, object)) and not (isinstance(value, bool) and kind in ("integer", "number"))
