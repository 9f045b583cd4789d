"""Tasks: calls that go on after their request was answered (extension io.modelcontextprotocol/tasks of 2026-07-28)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from marshmallow import fields

from mcp_server.errors import InvalidParams, MissingCapability, StoreUnavailable
from mcp_server.mcp.changes import Notify
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.eras import CAPABILITIES_KEY
from mcp_server.mcp.methods.method import Params
from mcp_server.mcp.ports import Task
from mcp_server.mcp.server import Server
from mcp_server.mcp.tasks import MOST_UNFINISHED, TASKS, Tasks, shown, shown_whole
from mcp_server.mcp.tool import Tool, ToolResult
from mcp_server.principal import Principal

NOTIFICATION = "notifications/tasks"
MOST_FOLLOWED = 100
FULL = f"You have {MOST_UNFINISHED} tasks that have not ended. Wait for one of them, or cancel one, and call again."


class TaskParams(Params):
    taskId = fields.String(required=True)  # noqa: N815 the protocol's spelling


class UpdateTaskParams(TaskParams):
    inputResponses = fields.Dict(keys=fields.String(), required=True)  # noqa: N815 the protocol's spelling


def begun_as_a_task(server: Server, call: CallContext, tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """The handle of a task that was begun for the call, or the result that says why it was not. None: the call is to be answered as any other."""
    tasks = server.tasks
    if tasks is None or call.principal is None or not call.declares(TASKS):
        if tool.as_task == "required":
            raise _missing(f"{tool.name} takes longer than a request may: it needs a client that can follow a task.")
        return None
    prepared = server.tools.prepare(tool, call, arguments)
    if isinstance(prepared, ToolResult):
        return prepared.on_the_wire
    task = tasks.begin(tool.name, arguments, prepared, call.principal, call.meta[CAPABILITIES_KEY])
    if task is None:
        return ToolResult(FULL, is_error=True).on_the_wire if tool.as_task == "required" else None
    return {"resultType": "task", **shown(task, tasks.now())}


def get_task(server: Server, call: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    tasks, task = _found(server, call, params["taskId"])
    return shown_whole(task, tasks.now())


def update_task(server: Server, call: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    """Raises InvalidParams for an answer that is none to its question: nothing was taken then, and all is still open."""
    tasks, task = _found(server, call, params["taskId"])
    tasks.answer(task, params["inputResponses"])
    return {}


def cancel_task(server: Server, call: CallContext, params: dict[str, Any]) -> dict[str, Any]:
    tasks, task = _found(server, call, params["taskId"])
    tasks.cancel(task)
    return {}


def followed(server: Server, call: CallContext, asked: Any) -> list[str]:
    """Those of the task ids in a filter that the caller can follow. Raises MissingCapability."""
    if asked is None or not server.extensions:
        return []
    if not call.declares(TASKS):
        raise _missing("`taskIds` needs a client that says that it can follow a task.")
    task_ids = asked if isinstance(asked, list) else []
    return [task_id for task_id in dict.fromkeys(filter(_is_text, task_ids[:MOST_FOLLOWED])) if _may_see(server, call, task_id)]


@contextmanager
def following(tasks: Tasks | None, principal: Principal | None, task_ids: list[str], notify: Notify) -> Iterator[None]:
    """While the block runs, `notify` gets each of the tasks: as it is now, and whenever it may be another."""
    if tasks is None or principal is None:
        yield
        return

    def tell(task_id: str) -> None:
        with suppress(StoreUnavailable, InvalidParams):
            notify(NOTIFICATION, shown_whole(tasks.find(task_id, principal), tasks.now()))

    with ExitStack() as listening:
        for task_id in task_ids:
            listening.enter_context(tasks.listening(task_id, tell))
            tell(task_id)
        yield


def _found(server: Server, call: CallContext, task_id: str) -> tuple[Tasks, Task]:
    """Raises MissingCapability, InvalidParams or InsufficientScope."""
    tasks = server.tasks
    if tasks is None or call.principal is None or not call.declares(TASKS):
        raise _missing("This needs a client that says that it can follow a task.")
    task = tasks.find(task_id, call.principal)
    tool = server.tools.find(task.tool)
    if tool is not None:
        call.require_scope(tool.scope)
    return tasks, task


def _may_see(server: Server, call: CallContext, task_id: str) -> bool:
    with suppress(InvalidParams):
        _found(server, call, task_id)
        return True
    return False


def _missing(message: str) -> MissingCapability:
    return MissingCapability(message, data={"requiredCapabilities": {"extensions": {TASKS: {}}}})


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
