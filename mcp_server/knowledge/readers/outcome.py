"""What reading gives, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

from mcp_server.knowledge.documents import Document, Kind
from mcp_server.knowledge.records import LeftOut, Record, document_of, id_of


@dataclass(frozen=True, slots=True)
class Read:
    """A document. `note`: what the operator should know of it."""

    document: Document
    note: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Good, and not to be shown: `reason`, as it is counted. What was kept of it is removed."""

    kind: Kind
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Problem:
    """`where`: the file, and the line or the number of the record. `kind` and `id`, where they can be told: an older state is not shown either."""

    where: str
    what: str
    kind: Kind | None = None
    id: str = ""


Outcome = Read | Skipped | Problem


def outcome_of(kind: Kind, record: Record, instance: str | None, where: str) -> Outcome:
    try:
        made = document_of(kind, record, instance)
    except LeftOut as reason:
        return Skipped(kind, id_of(kind, record), str(reason))
    except ValueError as error:
        return Problem(where, f"{error}.", kind, _id_if_any(kind, record))
    return Read(made.document, f"{where}: the text of {made.document.number} was cut: it is too long." if made.cut else "")


def _id_if_any(kind: Kind, record: Record) -> str:
    try:
        return id_of(kind, record)
    except ValueError:
        return ""
