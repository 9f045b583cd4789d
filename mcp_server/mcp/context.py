"""What a handler or a tool may know of its call, and what it can say while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import InsufficientScope, TokenRequired, ToolError
from mcp_server.mcp.asking import Question
from mcp_server.mcp.conversation import SILENT, Conversation
from mcp_server.mcp.eras import CAPABILITIES_KEY, STATELESS, AnyEra
from mcp_server.mcp.sessions import Session
from mcp_server.principal import Principal

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
TOKEN_SECONDS = 0.5
"""Seconds between two reports of the model's progress."""


@dataclass(slots=True)  # not frozen: made for every call, and freezing costs three times as much
class CallContext:
    """`principal` is None for the few methods that are open. A tool must be done by `deadline`.

    `models`: those that the caller may use; empty: any.
    """

    principal: Principal | None
    deadline: Deadline
    request_id: str | int | None = None
    era: AnyEra = STATELESS
    session: Session | None = None
    conversation: Conversation = SILENT
    progress_token: str | int | None = None
    begun_session: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    _reported: float | None = None

    def require_scope(self, scope: str) -> None:
        """Raises TokenRequired or InsufficientScope unless the caller has `scope`."""
        if self.principal is None:
            raise TokenRequired("This needs an access token.")
        if scope not in self.principal.scopes:
            raise InsufficientScope(f"This needs the scope {scope}.", scopes=self.principal.scopes | {scope})

    def model(self, wanted: str | None) -> str | None:
        """The model that is asked. None: the default one. Raises ToolError for one that the caller may not use."""
        if not self.models or wanted in self.models:
            return wanted
        if wanted is None:
            return self.models[0]
        raise ToolError(f"model: {wanted[:128]!r} is not for you. You may use: {', '.join(self.models)}.")

    def declares(self, extension: str) -> bool:
        """Whether the client can deal with this extension. It says so in each request (2026-07-28)."""
        capabilities = self.meta.get(CAPABILITIES_KEY) if self.era.stateless else None
        extensions = capabilities.get("extensions") if isinstance(capabilities, dict) else None
        return isinstance(extensions, dict) and isinstance(extensions.get(extension), dict)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Tell how far it is, if the caller wants to know. Only what is more than before is told."""
        if self.progress_token is None or (self._reported is not None and done <= self._reported):
            return
        self._reported = done
        params = {"progressToken": self.progress_token, "progress": done, "total": total, "message": message}
        self.conversation.notify("notifications/progress", {name: value for name, value in params.items() if value is not None})

    def counting_tokens(self, clock: Elapsed = elapsed) -> Callable[[int], None] | None:
        """What the model calls with the number of tokens it has written; None when nobody wants to know."""
        if self.progress_token is None:
            return None
        told_at = clock()

        def report(tokens: int) -> None:
            nonlocal told_at
            if clock() - told_at >= TOKEN_SECONDS:
                told_at = clock()
                self.progress(tokens, message=f"{tokens} tokens written")

        return report

    def log(self, level: str, data: Any) -> None:
        """Tell the client's log, if it asked for lines of this level. Never a secret, never a prompt."""
        wanted = self.conversation.log_level
        if wanted in LEVELS and LEVELS.index(level) >= LEVELS.index(wanted):
            self.conversation.notify("notifications/message", {"level": level, "logger": "gateway", "data": data})

    def can_ask(self, capability: str) -> bool:
        """Whether the client can be asked this: `elicitation`, `sampling` or `roots`."""
        return capability in self.conversation.capabilities

    def ask(self, key: str, question: Question) -> Any:
        """The client's answer. `key` names the question within this call, and must not change between two runs of it.

        Whatever the tool does before its last question may be done several times. Raises ToolError when there is no answer, and
        MissingCapability or InputRequired, which are not for the tool to catch.
        """
        return self.ask_all({key: question})[key]

    def ask_all(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        """The answers to several questions, asked at once. As `ask`."""
        began = self.deadline.clock()
        try:
            return self.conversation.ask(questions)
        finally:  # a person may think as long as the question can be answered: that is not the model's time
            self.deadline.at += self.deadline.clock() - began
