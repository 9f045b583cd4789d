"""Which records are exported, and how one becomes a row of a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mcp_server.audit_log.reading import Line

COLUMNS = ("timestamp", "event_type", "action", "result", "client_id", "user_id", "request_id", "source_ip", "details", "sequence", "hash")
_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_INVISIBLE_BEFORE_IT = " \u00a0\u200b\ufeff"


@dataclass(frozen=True, slots=True)
class Selection:
    """`since` is included, `until` is not. No event types, or no clients, means all of them."""

    since: datetime | None = None
    until: datetime | None = None
    event_types: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()

    def takes(self, record: dict[str, Any]) -> bool:
        if self.event_types and record.get("event_type") not in self.event_types:
            return False
        if self.clients and record.get("client_id") not in self.clients:
            return False
        return self.since is self.until is None or self._at_a_time(record)

    def _at_a_time(self, record: dict[str, Any]) -> bool:
        try:
            at = moment(str(record.get("timestamp")))
        except ValueError:
            return False
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


def moment(text: str) -> datetime:
    """A time in ISO 8601; UTC unless it says otherwise. Raises ValueError."""
    given = datetime.fromisoformat(text)
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def records(lines: Iterable[Line]) -> Iterator[tuple[Line, dict[str, Any] | None]]:
    """Each line with the record in it; None for what is none."""
    for line in lines:
        try:
            record = json.loads(line.text)
        except ValueError:
            record = None
        yield line, record if isinstance(record, dict) else None


def row(record: dict[str, Any]) -> list[str]:
    return [_cell(record.get(column)) for column in COLUMNS]


def _cell(value: Any) -> str:
    """No spreadsheet takes it for a formula."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if text.lstrip(_INVISIBLE_BEFORE_IT).startswith(_BEGINS_A_FORMULA) else text
