"""Calls that go on after their request was answered: what their callers can do with them.

A task lies in the store with all that is needed to run it: the tool, its arguments, whose it is. Any worker may run it
(`task_runner.py`), and it is run from its start again when a worker died, or when a question of the tool was answered.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Any

import orjson

from mcp_server.clock import Clock
from mcp_server.errors import InvalidParams, StoreUnavailable
from mcp_server.mcp import jsonrpc
from mcp_server.mcp.asking import question_of
from mcp_server.mcp.eras import META
from mcp_server.mcp.ports import Task, TaskStore
from mcp_server.mcp.sessions import owner_of
from mcp_server.mcp.switchboard import Switchboard
from mcp_server.mcp.task_runner import TaskRunner, Work, topic
from mcp_server.principal import Principal

TASKS = f"{META}tasks"
MOST_UNFINISHED = 100
"""Tasks of one caller that have not ended. More calls than that are answered as if there were no tasks."""
KEPT = 3600.0
"""Seconds that a task can be found besides those in which it may work."""
SOONEST, LATEST = 1000, 5000
"""Milliseconds after which a client should look again: a quarter of the task's age, within these."""


class Tasks:
    """`timeout`: seconds that a task may work."""

    def __init__(self, store: TaskStore, runner: TaskRunner, switchboard: Switchboard, clock: Clock, timeout: float) -> None:
        self._store = store
        self.runner = runner
        self._switchboard = switchboard
        self.now = clock
        self._lifetime = timeout + KEPT

    def begin(
        self, tool: str, arguments: Mapping[str, Any], prepared: Mapping[str, Any], principal: Principal, capabilities: Mapping[str, Any],
    ) -> Task | None:
        """A task that is in the store, and runs as soon as a worker has room. None when the caller has as many as it may have."""
        work = Work(
            dict(arguments), dict(prepared), dict(capabilities), principal.client_id, principal.subject, sorted(principal.scopes),
            list(principal.revocable_ids))
        now = self.now()
        task = Task(secrets.token_urlsafe(24), owner_of(principal), tool, work.dump(), now, now + self._lifetime, now)
        return task if self.runner.begin(task, MOST_UNFINISHED) else None

    def find(self, task_id: str, principal: Principal) -> Task:
        """Raises InvalidParams for one that is unknown, has expired, or is another caller's."""
        task = self._store.find(task_id, owner_of(principal), self.now())
        if task is None:
            raise InvalidParams("Task not found: it has expired, or was never yours.")
        return task

    def answer(self, task: Task, given: Mapping[str, Any]) -> None:
        """Answers to open questions; others are ignored. Raises InvalidParams when one of them is no answer to its question."""
        answers = {key: answer for key, answer in given.items() if key in task.questions}
        for key, answer in answers.items():
            question = question_of(orjson.loads(task.questions[key]))
            if not question.accepts(answer):
                raise InvalidParams(f"`inputResponses` has no answer to {question.method} under {key!r}. Send it as that method's result.")
        if answers and self._store.answer(task.task_id, task.owner, {key: jsonrpc.dumps(answer) for key, answer in answers.items()}, self.now()):
            self._tell(task.task_id, "working")
            self.runner.look()

    def cancel(self, task: Task) -> None:
        """Whoever runs it is told, and stops."""
        if self._store.cancel(task.task_id, task.owner, self.now()):
            self.runner.ended(task, "cancelled")
            self._tell(task.task_id, "cancelled")

    def listening(self, task_id: str, changed: Callable[[str], None]) -> AbstractContextManager[None]:
        """While the block runs, `changed` is told the id whenever the task may be another."""
        return self._switchboard.listening(topic(task_id), lambda _: changed(task_id))

    def _tell(self, task_id: str, status: str) -> None:
        with suppress(StoreUnavailable):  # whoever runs it looks at the store too
            self._switchboard.publish(topic(task_id), status)


def shown(task: Task, now: float) -> dict[str, Any]:
    """What every answer about a task has."""
    age = round((now - task.created_at) * 1000)
    wire: dict[str, Any] = {
        "taskId": task.task_id, "status": task.status, "createdAt": _moment(task.created_at), "lastUpdatedAt": _moment(task.updated_at),
        "ttlMs": round((task.expires_at - task.created_at) * 1000), "pollIntervalMs": min(LATEST, max(SOONEST, age // 4))}
    if task.message:
        wire["statusMessage"] = task.message
    return wire


def shown_whole(task: Task, now: float) -> dict[str, Any]:
    """The task with what is asked of its caller, or with what came of it."""
    wire = shown(task, now)
    match task.status:
        case "input_required":
            wire["inputRequests"] = {key: orjson.loads(question) for key, question in task.questions.items()}
        case "completed":
            wire["result"] = orjson.loads(task.outcome)
        case "failed":
            wire["error"] = orjson.loads(task.outcome)
    return wire


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
