"""Runs tasks beside the requests of this worker, and takes over those that another one has left behind.

Who runs a task has a lease and renews it. A worker that stops gives its tasks back; the leases of one that died run out.
A question of a tool ends the run: it begins anew when the last answer is there, as a call of the stateless era does.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mcp_server.clock import Clock, elapsed
from mcp_server.concurrency import give_up_after, pause, spawn
from mcp_server.deadline import Deadline
from mcp_server.errors import GatewayError, InternalError, JsonRpcError, StoreUnavailable, ToolError
from mcp_server.mcp import jsonrpc
from mcp_server.mcp.asking import InputRequired
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.conversation import StatelessConversation
from mcp_server.mcp.eras import CAPABILITIES_KEY
from mcp_server.mcp.ports import Task, TaskStore
from mcp_server.mcp.switchboard import Switchboard
from mcp_server.mcp.tool import ToolRegistry, ToolResult
from mcp_server.principal import Principal

MOST_RUNNING = 8
"""Tasks that run at once in one worker. The model's gate lets calls go first whose callers hold a connection."""
LEASE, RENEWED = 15.0, 5.0
"""Seconds after which a task is taken over from a worker that says nothing, and between two renewals."""
MOST_TRIES = 3
STATUS_SECONDS = 1.0
"""Seconds between two writings of how far a task is."""
GRACE = 1.0
KEEPS_TRYING = 60
"""How often the outcome of a task is offered to a store that does not answer, once a second."""

Ended = Callable[[dict[str, Any]], None]
"""Takes what a log may say of a task that has ended."""


def topic(task_id: str) -> str:
    """On the switchboard: the status of a task, whenever it may have changed."""
    return f"task:{task_id}"


@dataclass(frozen=True, slots=True)
class Work:
    """What runs, and for whom: no credential, only what one stood for. `prepared`: what the tool's `prepare` gave."""

    arguments: dict[str, Any]
    prepared: dict[str, Any]
    capabilities: dict[str, Any]
    client_id: str
    subject: str
    scopes: list[str]
    revocable_ids: list[str]

    def dump(self) -> bytes:
        return jsonrpc.dumps(asdict(self))

    @classmethod
    def load(cls, work: bytes) -> Work:
        return cls(**json.loads(work))

    def principal(self, until: float) -> Principal:
        return Principal(self.client_id, self.subject, frozenset(self.scopes), until, tuple(self.revocable_ids))


@dataclass(slots=True)
class _Run:
    """One run of a task, under its lease. What the tool says meanwhile is the task's status message; it is the outlet of the call."""

    task: Task
    lease: str
    renew_at: float
    tell: Callable[[_Run, str], None]
    work: Work = field(init=False)
    told_at: float = 0.0
    stop: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.work = Work.load(self.task.work)

    def send(self, message: Mapping[str, Any]) -> None:
        params = message["params"]
        if message["method"] == "notifications/progress":
            total = f" of {params['total']:g}" if "total" in params else ""
            self.tell(self, params.get("message") or f"{params['progress']:g}{total}")

    def heard(self, status: str) -> None:
        if status == "cancelled":
            self.stop()

    def cancel(self) -> None:
        """Nobody holds its connection."""

    def open(self) -> None:
        """There is no stream."""

    def hang_up(self) -> None:
        """There is no connection."""


class TaskRunner:
    """`look` is called about once a second. `admitted` tells whether what was admitted by these ids still is."""

    def __init__(
        self, store: TaskStore, tools: ToolRegistry, switchboard: Switchboard, clock: Clock, *, timeout: float,
        admitted: Callable[[tuple[str, ...]], bool], log_unexpected: Callable[[Exception, str], None], log_ended: Ended, most: int = MOST_RUNNING,
    ) -> None:
        """`timeout`: seconds that one run may take."""
        self._store = store
        self._tools = tools
        self._switchboard = switchboard
        self._clock = clock
        self._timeout = timeout
        self._admitted = admitted
        self._log_unexpected = log_unexpected
        self._log_ended = log_ended
        self._most = most
        self._running: dict[str, _Run] = {}
        self._claiming = threading.Lock()
        self._draining = False

    def begin(self, task: Task, most: int) -> bool:
        """Put a new task into the store, and run it here if there is room. False when its owner has `most`. Raises StoreUnavailable."""
        if not self._has_room:
            return self._store.create(task, most=most)
        lease, now = secrets.token_hex(8), self._clock()
        begun = replace(task, tries=1)
        if not self._store.create(begun, most=most, lease=lease, until=now + LEASE):
            return False
        self._start(begun, lease)
        return True

    def look(self) -> None:
        """Renew the leases, end what may not go on, and take what waits or was left behind. Never raises: it is done again soon."""
        with suppress(StoreUnavailable):
            self._renew()
            with self._claiming:
                while self._has_room:
                    now, lease = self._clock(), secrets.token_hex(8)
                    task = self._store.claim(lease, now + LEASE, now)
                    if task is None:
                        return
                    self._start(task, lease)

    def drain(self) -> None:
        """The worker stops: others take over what runs here."""
        self._draining = True
        for run in tuple(self._running.values()):
            self._stop(run)
            with suppress(StoreUnavailable):  # then its lease runs out
                self._store.release(run.task.task_id, run.lease, self._clock())

    @property
    def running(self) -> int:
        """Tasks that run in this worker."""
        return len(self._running)

    @property
    def _has_room(self) -> bool:
        return not self._draining and len(self._running) < self._most

    def _start(self, task: Task, lease: str) -> None:
        run = self._running[lease] = _Run(task, lease, self._clock() + RENEWED, self._tell)
        run.stop = spawn(lambda: self._run(run))

    def _stop(self, run: _Run) -> None:
        self._running.pop(run.lease, None)
        run.stop()

    def _renew(self) -> None:
        for run in tuple(self._running.values()):
            if not self._admitted(tuple(run.work.revocable_ids)):
                self._stop(run)
                self._finish(run, "cancelled", b"", "The access under which it was begun was revoked.")
            elif self._clock() >= run.renew_at and not self._hold(run):
                self._stop(run)

    def _hold(self, run: _Run, message: str | None = None) -> bool:
        now = self._clock()
        run.renew_at = now + RENEWED
        return self._store.hold(run.task.task_id, run.lease, now + LEASE, now, message)

    def _tell(self, run: _Run, message: str) -> None:
        now = self._clock()
        if now - run.told_at >= STATUS_SECONDS:
            run.told_at = now
            with suppress(StoreUnavailable):
                self._hold(run, message)
                self._publish(run.task, "working")

    def _run(self, run: _Run) -> None:
        try:
            with suppress(StoreUnavailable), self._switchboard.listening(topic(run.task.task_id), run.heard):
                if self._hold(run):  # a cancellation may have come before anybody listened
                    self._work(run)
        finally:
            self._running.pop(run.lease, None)
        self.look()

    def _work(self, run: _Run) -> None:
        try:
            result = self._result(run)
        except InputRequired as needed:
            self._ask(run, needed)
        except JsonRpcError as error:
            self._fail(run, error)
        except GatewayError as error:  # what HTTP would have told
            self._fail(run, InternalError(error.message))
        except Exception as error:  # noqa: BLE001 the last resort: the caller gets an answer, the log gets everything
            self._log_unexpected(error, "tools/call")
            self._fail(run, InternalError("The server could not do this. The failure is logged."))
        else:
            self._end(run, "completed", result, "")

    def _result(self, run: _Run) -> bytes:
        task, work = run.task, run.work
        if task.tries > MOST_TRIES:
            raise InternalError(f"The server stopped {MOST_TRIES} times while this task ran. It is not tried again; call the tool again.")
        seconds = max(0.0, min(self._timeout, task.expires_at - self._clock()))
        known = {key: json.loads(answer) for key, answer in task.answers.items()}
        meta = {CAPABILITIES_KEY: work.capabilities}
        call = CallContext(
            work.principal(task.expires_at), Deadline(elapsed() + seconds, patient=True, caller=work.client_id),
            conversation=StatelessConversation(run, meta, known, {}), progress_token=task.task_id, meta=meta)
        try:
            with give_up_after(seconds + GRACE, lambda: ToolError(f"The task was not done in {seconds:.0f} seconds.")):
                result = self._tools.call(self._tools[task.tool], call, work.arguments, work.prepared)
        except ToolError as error:
            result = ToolResult(error.message, is_error=True)
        return jsonrpc.dumps({"resultType": "complete", **result.on_the_wire})

    def _ask(self, run: _Run, needed: InputRequired) -> None:
        questions = {key: jsonrpc.dumps({"method": question.method, "params": question.params}) for key, question in needed.questions.items()}
        if self._store.ask(run.task.task_id, run.lease, questions, self._clock()):
            self._publish(run.task, "input_required")

    def _fail(self, run: _Run, error: JsonRpcError) -> None:
        content = {"code": error.code, "message": error.message} | ({"data": error.data} if error.data is not None else {})
        self._end(run, "failed", jsonrpc.dumps(content), error.message)

    def _end(self, run: _Run, status: str, outcome: bytes, message: str) -> None:
        """The outcome of a run whose lease was lost is dropped."""
        for _ in range(KEEPS_TRYING):
            try:
                self._finish(run, status, outcome, message)
            except StoreUnavailable:
                pause(1.0)
            else:
                return

    def _finish(self, run: _Run, status: str, outcome: bytes, message: str) -> None:
        if self._store.finish(run.task.task_id, run.lease, status, outcome, message=message, now=self._clock()):
            self.ended(run.task, status)
            self._publish(run.task, status)

    def ended(self, task: Task, status: str) -> None:
        """Tell the log; never what was in it."""
        work = Work.load(task.work)
        self._log_ended({
            "task_id": task.task_id, "tool": task.tool, "status": status, "tries": task.tries, "client_id": work.client_id, "user_id": work.subject,
            "duration_ms": round((self._clock() - task.created_at) * 1000)})

    def _publish(self, task: Task, status: str) -> None:
        with suppress(StoreUnavailable):  # who wants to know looks at the store too
            self._switchboard.publish(topic(task.task_id), status)
