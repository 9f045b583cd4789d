"""What was found for a question: the only things that a model's answer may name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields

from mcp_server.errors import StoreUnavailable, TooBusy, ToolError
from mcp_server.knowledge.documents import Kind, reader_of
from mcp_server.knowledge.ports import Found, Hit, Knowledge
from mcp_server.mcp.context import CallContext
from mcp_server.tools.inquiry import Inquiry

LONGEST_QUERY = 2000
NAMES: Mapping[Kind, str] = {"article": "knowledge article", "incident": "incident", "catalog_item": "catalogue item"}


class SourceOutput(Schema):
    id = fields.String(required=True, metadata={"description": "Number of the record, such as KB0010001, or its id."})
    kind = fields.String(required=True, metadata={"description": "article, incident or catalog_item."})
    title = fields.String(required=True, metadata={"description": "Its title."})
    url = fields.String(metadata={"description": "Where it can be read."})
    updated = fields.String(metadata={"description": "When it was last changed, UTC."})


class Candidates:
    """By number, in the order in which they were found. `degraded`: why fewer ways of search were used than there are."""

    def __init__(self, call: CallContext, knowledge: Knowledge) -> None:
        self._call = call
        self._knowledge = knowledge
        self._hits: dict[str, Hit] = {}
        self.degraded = ""

    def search(self, query: str, kind: Kind, limit: int, filters: Mapping[str, str] | None = None) -> Sequence[Hit]:
        """Raises ToolError when the index cannot be asked."""
        try:
            found: Found = self._knowledge.search(
                query[:LONGEST_QUERY], kind=kind, deadline=self._call.deadline, limit=limit, filters=filters, reader=reader_of(self._call.principal))
        except (StoreUnavailable, TooBusy) as error:
            raise ToolError(f"The {NAMES[kind]}s cannot be searched now. {error.message}") from error
        self._hits |= {hit.document.number: hit for hit in found.hits}
        self.degraded = self.degraded or found.degraded
        return found.hits

    def keep(self, wanted: Callable[[Hit], bool], most: int) -> None:
        """Only those, and at most so many, of what was found so far."""
        kept = [(number, hit) for number, hit in self._hits.items() if wanted(hit)]
        self._hits = dict(kept[:most])

    def __len__(self) -> int:
        return len(self._hits)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._hits)

    @property
    def hits(self) -> Mapping[str, Hit]:
        return self._hits

    def read(self, inquiry: Inquiry, most: int) -> dict[str, str]:
        """What the model gets to read of each: at most `most` characters."""
        return {number: inquiry.data(_text_of(hit), most, number) for number, hit in self._hits.items()}

    def sources(self, ids: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """Those of these ids, or all."""
        wanted = self.ids if ids is None else [number for number in self.ids if number in set(ids)]
        return [_source(self._hits[number]) for number in wanted]


def shown(read: Mapping[str, str]) -> str:
    return "\n\n".join(f"[{number}]\n{text}" for number, text in read.items())


def _text_of(hit: Hit) -> str:
    document = hit.document
    resolution = document.facts.get("resolution", "")
    return "\n".join(line for line in (document.title, hit.passage or document.text, f"Resolution: {resolution}" if resolution else "") if line)


def _source(hit: Hit) -> dict[str, Any]:
    document = hit.document
    source = {"id": document.number, "kind": document.kind, "title": document.title}
    return source | {name: value for name, value in (("url", document.url), ("updated", document.updated)) if value}
