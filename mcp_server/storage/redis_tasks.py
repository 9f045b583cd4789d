"""Tasks, in Redis: a hash each, and sorted sets of those that are to be run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mcp_server.errors import StoreUnavailable
from mcp_server.mcp.ports import Task
from mcp_server.storage import redis_task_scripts as scripts
from mcp_server.storage.redis_connections import RedisConnections


class RedisTasks:
    def __init__(self, connections: RedisConnections, prefix: str) -> None:
        self._redis = connections
        self._prefix, self._queue, self._owners = f"{prefix}task:", f"{prefix}tasks", f"{prefix}tasks-of:"

    def create(self, task: Task, *, most: int, lease: str = "", until: float = 0.0) -> bool:
        fields: dict[str, Any] = {
            "owner": task.owner, "tool": task.tool, "work": task.work, "created_at": task.created_at, "expires_at": task.expires_at,
            "updated_at": task.updated_at, "status": task.status, "message": task.message, "outcome": task.outcome, "tries": task.tries,
            "lease": lease}
        ttl = max(1, math.ceil((task.expires_at - task.created_at + 1) * 1000))
        arguments = (task.task_id, task.created_at, most, until if lease else task.created_at, task.expires_at, ttl, *_flat(fields))
        return bool(self._redis.run(scripts.CREATE_TASK, [*self._keys(task.task_id), self._owners + task.owner], arguments, repeatable=True))

    def find(self, task_id: str, owner: str, now: float) -> Task | None:
        flat = self._redis.call("HGETALL", self._prefix + task_id, repeatable=True)
        task = _read(task_id, flat) if flat else None
        return task if task is not None and task.owner == owner and task.expires_at > now else None

    def claim(self, lease: str, until: float, now: float) -> Task | None:
        """Sent once: an answer that was lost on the way leaves a lease that runs out."""
        claimed = self._redis.run(scripts.CLAIM_TASK, [self._queue], (now, until, lease, self._prefix), repeatable=False)
        return _read(claimed[0].decode(), claimed[1]) if claimed else None

    def hold(self, task_id: str, lease: str, until: float, now: float, message: str | None = None) -> bool:
        told = {} if message is None else {"message": message, "updated_at": now}
        return self._changed(task_id, lease, now, until, told)

    def release(self, task_id: str, lease: str, now: float) -> bool:
        return self._changed(task_id, lease, now, now, {"lease": ""}, how="released")

    def ask(self, task_id: str, lease: str, questions: Mapping[str, bytes], now: float) -> bool:
        asked = {f"q:{key}": question for key, question in questions.items()}
        parked = {"status": "input_required", "lease": "", "tries": 0, "updated_at": now}
        return self._changed(task_id, lease, now, "", {**asked, **parked})

    def answer(self, task_id: str, owner: str, answers: Mapping[str, bytes], now: float) -> bool:
        return bool(self._redis.run(scripts.ANSWER_TASK, self._keys(task_id), (owner, now, task_id, *_flat(answers)), repeatable=True))

    def cancel(self, task_id: str, owner: str, now: float) -> bool:
        keys = [*self._keys(task_id), self._owners + owner]
        return bool(self._redis.run(scripts.CANCEL_TASK, keys, (owner, now, task_id), repeatable=False))

    def finish(self, task_id: str, lease: str, status: str, outcome: bytes, *, message: str, now: float) -> bool:
        arguments = (lease, now, task_id, self._owners, status, outcome, message)
        return bool(self._redis.run(scripts.FINISH_TASK, self._keys(task_id), arguments, repeatable=False))

    def _changed(
        self, task_id: str, lease: str, now: float, claimable_at: float | str, fields: Mapping[str, Any], *, how: str = "",
    ) -> bool:
        arguments = (lease, now, task_id, claimable_at, how, *_flat(fields))
        return bool(self._redis.run(scripts.HOLD_TASK, self._keys(task_id), arguments, repeatable=True))

    def _keys(self, task_id: str) -> list[str]:
        return [self._prefix + task_id, self._queue]


def _flat(fields: Mapping[str, Any]) -> list[Any]:
    return [name_or_value for field in fields.items() for name_or_value in field]


def _read(task_id: str, flat: Any) -> Task:
    fields: dict[bytes, bytes] = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
    by_kind = {kind: {name[2:].decode(): value for name, value in fields.items() if name.startswith(kind)} for kind in (b"q:", b"a:")}
    try:
        return Task(
            task_id, fields[b"owner"].decode(), fields[b"tool"].decode(), fields[b"work"], float(fields[b"created_at"]), float(fields[b"expires_at"]),
            float(fields[b"updated_at"]), fields[b"status"].decode(), fields[b"message"].decode(), fields[b"outcome"], int(fields[b"tries"]),
            by_kind[b"q:"], by_kind[b"a:"])
    except (KeyError, ValueError) as error:
        raise StoreUnavailable(detail=f"A stored task cannot be read: {error}") from error
