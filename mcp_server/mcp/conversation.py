"""What can be said to the client, and asked of it, while its request is being answered. One class for each era."""

from __future__ import annotations

import queue
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Protocol

from mcp_server.errors import MissingCapability, ToolError
from mcp_server.mcp.asking import InputRequired, Question
from mcp_server.mcp.eras import CAPABILITIES_KEY, LOG_LEVEL_KEY
from mcp_server.mcp.sessions import Session
from mcp_server.mcp.switchboard import Deliver, Switchboard

ANSWER_SECONDS = 300
"""Seconds in which a client must answer a question on a stream."""


class Outlet(Protocol):
    """Where messages go that are said before the answer. Nothing is said to a client that is gone."""

    def send(self, message: Mapping[str, Any]) -> None: ...
    def open(self) -> None:
        """Let the client see that the stream is there, before there is anything to say."""

    def cancel(self) -> None:
        """Stop the work. Nothing more is said, and there is no answer."""

    def hang_up(self) -> None:
        """End the connection; the client comes back for the rest, where its revision has that. Else nothing."""


class Conversation(Protocol):
    capabilities: Mapping[str, Any]
    """What the client can do."""
    log_level: str | None
    """The least level of log lines that it wants; None: no lines."""

    def notify(self, method: str, params: Mapping[str, Any]) -> None: ...
    def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]: ...
    def hang_up(self) -> None: ...


class Silent:
    """Of a call that is answered at once: nothing is said before the answer."""

    capabilities: Mapping[str, Any] = {}
    log_level: str | None = None

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Nobody hears it."""

    def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        raise ToolError(_cannot(questions))

    def hang_up(self) -> None:
        """There is no stream."""


SILENT = Silent()


class HandshakeConversation:
    """Questions go out on the stream of the call; the answers come in as requests of their own, at any worker."""

    def __init__(self, outlet: Outlet, session: Session | None, switchboard: Switchboard) -> None:
        self._outlet = outlet
        self._session = session
        self._switchboard = switchboard
        self.capabilities: Mapping[str, Any] = session.capabilities if session else {}
        self.log_level = (session.record.log_level or "info") if session else None

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        self._outlet.send({"jsonrpc": "2.0", "method": method, "params": params})

    def hang_up(self) -> None:
        self._outlet.hang_up()

    def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        """Raises ToolError when the client cannot be asked, refuses, or does not answer."""
        session = self._session
        if session is None or any(question.capability not in self.capabilities for question in questions.values()):
            raise ToolError(_cannot(questions))
        answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        with ExitStack() as listening:
            for key, question in questions.items():
                request_id = f"ask-{secrets.token_hex(16)}"
                listening.enter_context(self._switchboard.listening(answer_topic(session, request_id), _into(answers, key)))
                self._outlet.send({"jsonrpc": "2.0", "id": request_id, "method": question.method, "params": question.params})
            return self._collected(questions, answers)

    @staticmethod
    def _collected(questions: Mapping[str, Question], answers: queue.Queue[tuple[str, Any]]) -> Mapping[str, Any]:
        collected: dict[str, Any] = {}
        while len(collected) < len(questions):
            try:
                key, answer = answers.get(timeout=ANSWER_SECONDS)
            except queue.Empty:
                raise ToolError(f"The client did not answer the question in {ANSWER_SECONDS} seconds.") from None
            result = answer.get("result")
            if not questions[key].accepts(result):
                raise ToolError(f"The client did not answer {questions[key].method}: {_said(answer)}")
            collected[key] = result
        return collected


class StatelessConversation:
    """The answers come with the call, or the call ends with the questions."""

    def __init__(self, outlet: Outlet, meta: Mapping[str, Any], known: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        """`known`: answers of former tries; `given`: what came with this one."""
        self._outlet = outlet
        self._known = dict(known)
        self._given = given
        self.capabilities: Mapping[str, Any] = meta[CAPABILITIES_KEY]
        self.log_level: str | None = meta.get(LOG_LEVEL_KEY)

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        self._outlet.send({"jsonrpc": "2.0", "method": method, "params": params})

    def hang_up(self) -> None:
        """A closed stream would mean that the client no longer wants the answer."""

    def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        """Raises InputRequired for what is not answered yet, and MissingCapability for what the client cannot be asked."""
        for key, question in questions.items():
            if key not in self._known and question.accepts(self._given.get(key)):
                self._known[key] = self._given[key]
        open_questions = {key: question for key, question in questions.items() if key not in self._known}
        missing: dict[str, Any] = {question.capability: {} for question in open_questions.values() if question.capability not in self.capabilities}
        if missing:
            raise MissingCapability(_cannot(open_questions), data={"requiredCapabilities": missing})
        if open_questions:
            raise InputRequired(open_questions, self._known)
        return {key: self._known[key] for key in questions}


def answer_topic(session: Session, request_id: str) -> str:
    """Where the answer to a question arrives: only the session that was asked can send it there."""
    return f"answer:{session.name}:{request_id}"


def _into(answers: queue.Queue[tuple[str, Any]], key: str) -> Deliver:
    return lambda answer: answers.put((key, answer))


def _cannot(questions: Mapping[str, Question]) -> str:
    needed = sorted({question.capability for question in questions.values()})
    return f"This needs a client that can do: {', '.join(needed)}. This one did not say so."


def _said(answer: Mapping[str, Any]) -> str:
    error = answer.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return message[:200] if isinstance(message, str) else "the answer is not of the form that the protocol has."
