"""Following a ServiceNow instance by its Table API: what changed since the last time, and only that.

Pages go by `sys_id` within a lower bound of `sys_updated_on`: ids have no time zone. What changes meanwhile is not missed, as the next run begins
a day before the newest change that was seen. What was read is kept page by page, with the place: a run that broke off goes on there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from mcp_server.errors import KnowledgeRefused

from .access import ANY_CONTAINER, UNREAD, Container
from .documents import Document, Kind
from .readers.outcome import Read, Skipped, outcome_of
from .records import FIELDS, TABLES, Record, Value

OVERLAP = timedelta(days=1)
"""An account's time zone, in which the instance may read the bound, is never further away."""
PAGE = 200
CRITERIA: Mapping[Kind, tuple[tuple[str, str, bool], ...]] = {
    "article": (("kb_uc_can_read_mtom", "kb_knowledge_base", True), ("kb_uc_cannot_read_mtom", "kb_knowledge_base", False)),
    "catalog_item": (("sc_cat_item_user_criteria_mtom", "sc_cat_item", True), ("sc_cat_item_user_criteria_no_mtom", "sc_cat_item", False)),
}
"""Where ServiceNow keeps who may read a knowledge base, or order an item: table, what it is about, whether it lets in."""


@dataclass(frozen=True, slots=True)
class Page:
    """`matching`: the records that the query has from here on, also those that the account may not read; None if it was not told."""

    records: Sequence[Record]
    matching: int | None


class TableApi(Protocol):
    """One instance. Raises InstanceUnavailable when it does not answer, KnowledgeRefused when it does not let the account in."""

    instance: str

    def page(self, table: str, query: str, fields: Sequence[str], limit: int, offset: int) -> Page: ...


class SyncedCorpus(Protocol):
    def put(self, documents: Sequence[Document], source: str) -> tuple[int, int]: ...
    def remove(self, kind: Kind, ids: Sequence[str]) -> int: ...
    def ids_from(self, source: str) -> set[tuple[Kind, str]]: ...
    def replace_containers(self, kind: Kind, containers: Mapping[str, Container]) -> None: ...
    def checkpoint(self, name: str) -> dict[str, str]: ...
    def keep_checkpoint(self, name: str, values: Mapping[str, str]) -> None: ...


@dataclass(slots=True)
class Synced:
    """`hidden`: records that the account may not read. `since`: empty when everything was read."""

    table: str
    since: str
    read: int = 0
    new: int = 0
    changed: int = 0
    removed: int = 0
    hidden: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


Progress = Callable[[int, int | None], None]


class Sync:
    """One table of one instance, once."""

    def __init__(self, api: TableApi, corpus: SyncedCorpus, kind: Kind) -> None:
        self._api, self._corpus, self._kind = api, corpus, kind
        self._table = next(name for name, each in TABLES.items() if each == kind)
        self._source = f"{api.instance} {self._table}"

    def run(self, progress: Progress, *, full: bool = False) -> Synced:
        """`full`: read everything from the beginning, and remove what the instance does not have any more."""
        corpus, source = self._corpus, self._source
        state = {} if full else corpus.checkpoint(source)
        state.setdefault("bound", _day_before(state.get("latest", "")))
        found = Synced(self._table, state["bound"])
        self._read_criteria(found)
        seen: set[str] = set()
        bound = f"sys_updated_on>={state['bound']}" if state["bound"] else ""
        total: int | None = None
        for page, after in self._pages(found, self._table, FIELDS[self._kind], bound, state.get("after", "")):
            total = page.matching if total is None else total
            seen |= self._take(page, found)
            latest = [record["sys_updated_on"].stored for record in page.records if "sys_updated_on" in record]
            state |= {"after": after, "latest": max([state.get("latest", ""), *latest])}
            if not full:
                corpus.keep_checkpoint(source, state)
            progress(found.read, total)
        if full:
            found.removed += corpus.remove(self._kind, [each for _, each in corpus.ids_from(source) if each not in seen])
        corpus.keep_checkpoint(source, {"latest": state.get("latest", "")})
        return found

    def _take(self, page: Page, found: Synced) -> set[str]:
        """The ids that are kept."""
        documents, gone = [], []
        for record in page.records:
            outcome = outcome_of(self._kind, record, self._api.instance, f"{self._source} {record['sys_id'].stored}")
            if isinstance(outcome, Read):
                documents.append(outcome.document)
                found.problems += [outcome.note] if outcome.note else []
            elif isinstance(outcome, Skipped):
                gone.append(outcome.id)
                found.skipped[outcome.reason] += 1
            else:
                gone.append(record["sys_id"].stored)  # an older state of it may not be shown either
                found.problems.append(f"{outcome.where}: {outcome.what}")
        new, changed = self._corpus.put(documents, self._source)
        found.removed += self._corpus.remove(self._kind, gone)
        found.read, found.new, found.changed = found.read + len(page.records), found.new + new, found.changed + changed
        return {document.id for document in documents}

    def _pages(self, found: Synced, table: str, fields: Sequence[str], bound: str = "", after: str = "") -> Iterator[tuple[Page, str]]:
        """Each page, and the id that the next one begins behind. What the account may not read counts in a page, and is not in it."""
        offset = shown = 0
        matching: int | None = None
        while True:
            query = "^".join(part for part in (bound, f"sys_id>{after}" if after else "", "ORDERBYsys_id") if part)
            page = self._api.page(table, query, fields, PAGE, offset)
            ids = [record["sys_id"].stored for record in page.records if "sys_id" in record]
            if len(ids) < len(page.records) or ids != sorted(set(ids)) or (ids and ids[0] <= after):
                raise KnowledgeRefused(
                    f"{self._api.instance} does not answer for {table} in the order of sys_id. The account may not read that field, or what answers "
                    "is not the instance itself.")
            matching, shown = page.matching if matching is None else matching, shown + len(ids)
            last = len(ids) < PAGE if page.matching is None else page.matching - offset <= PAGE
            after, offset = (ids[-1], 0) if ids else (after, offset + PAGE)
            yield page, after
            if last:
                found.hidden += max((matching or 0) - shown, 0)
                return

    def _read_criteria(self, found: Synced) -> None:
        """Who may read a knowledge base, as a whole and anew: such a change does not touch the articles in it."""
        containers: dict[str, tuple[list[str], list[str]]] = {}
        unread = Synced("", "")
        for table, about, lets_in in CRITERIA.get(self._kind, ()):
            try:
                for page, _ in self._pages(unread, table, ("sys_id", about, "user_criteria")):
                    for record in page.records:
                        containers.setdefault(record[about].stored, ([], []))[not lets_in].append(_named(record["user_criteria"]))
            except (KnowledgeRefused, KeyError):
                unread.hidden += 1
        kept = {each: Container(tuple(can), tuple(cannot)) for each, (can, cannot) in containers.items()}
        if unread.hidden:
            names = " and ".join(table for table, _, _ in CRITERIA[self._kind])
            found.problems.append(
                f"{names} cannot be read as a whole by this account, so nobody knows who may read what. Let it read them, or map what is meant under "
                "knowledge_bases in config/knowledge.yaml: what is not mapped is not shown.")
            kept = {ANY_CONTAINER: UNREAD}
        self._corpus.replace_containers(self._kind, kept)


def _named(criterion: Value) -> str:
    return criterion.stored if criterion.shown == criterion.stored else f"{criterion.shown} [{criterion.stored}]"


def _day_before(moment: str) -> str:
    try:
        return (datetime.strptime(moment, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) - OVERLAP).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return ""
