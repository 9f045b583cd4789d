"""Tasks, in the SQLite file of the hot state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcp_server.mcp.ports import Task
from mcp_server.storage.sqlite_file import SqliteFile

_COLUMNS = "task_id, owner, tool, work, created_at, tasks.expires_at, updated_at, status, message, outcome, tries"
_FIND = f"SELECT {_COLUMNS}, key, question, answer FROM tasks LEFT JOIN task_questions USING (task_id)"  # noqa: S608 - our own words
_CLAIMABLE = "status = 'working' AND claimable_at <= ? AND expires_at > ?"
_UNFINISHED = "status IN ('working', 'input_required')"


class SqliteTasks:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def create(self, task: Task, *, most: int, lease: str = "", until: float = 0.0) -> bool:
        row = (task.task_id, task.owner, task.tool, task.work, task.created_at, task.expires_at, task.updated_at, task.status, task.message,
               task.outcome, task.tries, lease, until if lease else task.created_at)
        return bool(self._file.run(
            f"""INSERT INTO tasks SELECT {", ".join("?" * len(row))}
            WHERE (SELECT count(*) FROM tasks WHERE owner = ? AND {_UNFINISHED} AND expires_at > ?) < ? RETURNING 1""",  # noqa: S608 - our own words
            (*row, task.owner, task.created_at, most)))

    def find(self, task_id: str, owner: str, now: float) -> Task | None:
        found = " WHERE task_id = ? AND owner = ? AND tasks.expires_at > ? ORDER BY task_questions.rowid"
        return _read(self._file.run(_FIND + found, (task_id, owner, now)))

    def claim(self, lease: str, until: float, now: float) -> Task | None:
        if not self._file.run(f"SELECT 1 FROM tasks WHERE {_CLAIMABLE} LIMIT 1", (now, now)):  # noqa: S608 - our own words
            return None  # asked every second by every worker: nothing is locked for it
        with self._file.transaction() as connection:
            claimed = connection.execute(
                f"""UPDATE tasks SET lease = ?, claimable_at = ?, tries = tries + 1 WHERE task_id =
                (SELECT task_id FROM tasks WHERE {_CLAIMABLE} ORDER BY claimable_at LIMIT 1) RETURNING task_id""",  # noqa: S608 - our own words
                (lease, until, now, now)).fetchone()
            return _read(connection.execute(_FIND + " WHERE task_id = ?", claimed).fetchall()) if claimed else None

    def hold(self, task_id: str, lease: str, until: float, now: float, message: str | None = None) -> bool:
        if message is None:
            return self._changed("claimable_at = ?", (until,), task_id, lease, now)
        return self._changed("claimable_at = ?, message = ?, updated_at = ?", (until, message, now), task_id, lease, now)

    def release(self, task_id: str, lease: str, now: float) -> bool:
        return self._changed("lease = '', claimable_at = ?, tries = tries - 1", (now,), task_id, lease, now)

    def ask(self, task_id: str, lease: str, questions: Mapping[str, bytes], now: float) -> bool:
        with self._file.transaction() as connection:
            asked = connection.execute(
                """UPDATE tasks SET status = 'input_required', lease = '', tries = 0, updated_at = ?
                WHERE task_id = ? AND lease = ? AND expires_at > ? RETURNING expires_at""", (now, task_id, lease, now)).fetchone()
            if asked is None:
                return False
            connection.executemany(
                "INSERT OR IGNORE INTO task_questions VALUES (?, ?, ?, ?, NULL)",
                [(task_id, key, asked[0], question) for key, question in questions.items()])
        return True

    def answer(self, task_id: str, owner: str, answers: Mapping[str, bytes], now: float) -> bool:
        with self._file.transaction() as connection:
            asks = connection.execute(
                "SELECT 1 FROM tasks WHERE task_id = ? AND owner = ? AND status = 'input_required' AND expires_at > ?", (task_id, owner, now))
            if asks.fetchone() is None:
                return False
            taken = connection.executemany(
                "UPDATE task_questions SET answer = ? WHERE task_id = ? AND key = ? AND answer IS NULL",
                [(answer, task_id, key) for key, answer in answers.items()]).rowcount
            if taken > 0:
                connection.execute("UPDATE tasks SET updated_at = ? WHERE task_id = ?", (now, task_id))
                connection.execute(
                    """UPDATE tasks SET status = 'working', claimable_at = ?1 WHERE task_id = ?2
                    AND NOT EXISTS (SELECT 1 FROM task_questions WHERE task_id = ?2 AND answer IS NULL)""", (now, task_id))
        return taken > 0

    def cancel(self, task_id: str, owner: str, now: float) -> bool:
        return self._ended("status = 'cancelled', message = ''", (), f"owner = ? AND {_UNFINISHED}", (task_id, owner), now)

    def finish(self, task_id: str, lease: str, status: str, outcome: bytes, *, message: str, now: float) -> bool:
        return self._ended("status = ?, outcome = ?, message = ?", (status, outcome, message), "lease = ?", (task_id, lease), now)

    def _changed(self, changes: str, values: tuple[Any, ...], task_id: str, lease: str, now: float) -> bool:
        return bool(self._file.run(
            f"UPDATE tasks SET {changes} WHERE task_id = ? AND lease = ? AND expires_at > ? RETURNING 1",  # noqa: S608 - our own words
            (*values, task_id, lease, now)))

    def _ended(self, changes: str, values: tuple[Any, ...], condition: str, whose: tuple[str, str], now: float) -> bool:
        with self._file.transaction() as connection:
            ended = connection.execute(
                f"""UPDATE tasks SET {changes}, updated_at = ?, work = x'', lease = ''
                WHERE task_id = ? AND {condition} AND expires_at > ? RETURNING 1""",  # noqa: S608 - our own words
                (*values, now, *whose, now)).fetchone()
            if ended:
                connection.execute("DELETE FROM task_questions WHERE task_id = ?", whose[:1])
        return ended is not None


def _read(rows: Any) -> Task | None:
    """The task, from a row for each of its questions."""
    if not rows:
        return None
    inputs = [row[-3:] for row in rows if row[-3] is not None]
    questions = {key: question for key, question, answer in inputs if answer is None}
    answers = {key: answer for key, _, answer in inputs if answer is not None}
    task: Sequence[Any] = rows[0][:-3]
    return Task(*task, questions=questions, answers=answers)  # type: ignore[misc] # a row has no types
