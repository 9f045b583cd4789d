"""Catalogue items that fit a request: found by search, put in order by the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from mcp_server.errors import ModelError
from mcp_server.knowledge.ports import Knowledge
from mcp_server.mcp.arguments import Text, Whole
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool
from mcp_server.tools.candidates import Candidates, SourceOutput, shown
from mcp_server.tools.inquiry import Inquiry, and_facts
from mcp_server.tools.parts import READS, Parts

ANSWER_TOKENS = 400
LOOKED_AT, MOST = 10, 10
CHARACTERS_OF_AN_ITEM = 500
MOST_CHARACTERS_READ = 2000
NOTHING = "No catalogue item fits this request."
INSTRUCTION = """You choose catalogue items that fulfil a person's request to an IT service desk.
Each item has its id in brackets.
items: the ids of the items that fulfil the request, the best first, each with one short sentence why. Leave out what does not fit.
Answer with one JSON object: items (a list of objects with id and reason)."""


class RecommendCatalogItemsInput(Schema):
    request = Text(
        required=True, validate=validate.Length(min=1, max=20_000),
        metadata={"description": f"What the person wants: I need a second monitor for home. {MOST_CHARACTERS_READ} characters are read."})
    limit = Whole(load_default=3, validate=validate.Range(1, MOST), metadata={"description": "How many items at most. Default: 3."})


class ItemOutput(SourceOutput):
    reason = fields.String(metadata={"description": "Why it fits, in the model's words."})


class RecommendCatalogItemsOutput(Schema):
    work_note = fields.String(required=True, metadata={"description": "The items as text, ready for a work note."})
    items = fields.List(fields.Nested(ItemOutput), required=True, metadata={"description": "The items, the best first. Empty when nothing fits."})
    method = fields.String(required=True, metadata={"description": "`search and model`, or `search`: the order of the search."})


class RecommendCatalogItems(Tool):
    name = "recommend_catalog_items"
    title = "Recommend catalogue items"
    description = (
        "Recommends items of the catalogue for what a person wants. Inputs: `request` (required), `limit`. Comes back: an object; `items` with id, "
        "title and reason, the best first, and only items that are in the catalogue; empty when nothing fits. It orders nothing. "
        "Use it for a wish: equipment, software, access. Do not use it for a disturbance (suggest_resolution) or a question (answer_from_knowledge)."
    )
    input_schema = RecommendCatalogItemsInput()
    output_schema = and_facts(RecommendCatalogItemsOutput)
    annotations: ClassVar[Mapping[str, bool]] = READS
    as_task = "optional"

    def __init__(self, parts: Parts, knowledge: Knowledge) -> None:
        self._parts = parts
        self._knowledge = knowledge

    def run(self, call: CallContext, *, request: str, limit: int) -> dict[str, Any]:
        inquiry = Inquiry(call, self._parts.model, self._parts.redact)
        wanted = inquiry.data(request, MOST_CHARACTERS_READ, "request")
        candidates = Candidates(call, self._knowledge)
        candidates.search(wanted, "catalog_item", LOOKED_AT)
        if not candidates:
            return {"work_note": NOTHING, "items": [], "method": "search"} | inquiry.facts
        read = candidates.read(inquiry, CHARACTERS_OF_AN_ITEM)
        told = f"Items:\n{inquiry.around(shown(read))}\n\nThe request:\n{inquiry.around(wanted)}"
        try:
            said = inquiry.ask(inquiry.prompt(INSTRUCTION, told, max_tokens=ANSWER_TOKENS), _answer_schema(tuple(read)))
        except ModelError as error:
            inquiry.without_the_model(error.message)
            items = candidates.sources()[:limit]
            return {"work_note": _work_note(items), "items": items, "method": "search"} | inquiry.facts
        reasons: dict[str, str] = {}
        for item in said["items"]:
            reasons.setdefault(item["id"], inquiry.restored(item["reason"]))
        by_id = {source["id"]: source for source in candidates.sources()}
        items = [by_id[number] | {"reason": reason} for number, reason in reasons.items()][:limit]
        return {"work_note": _work_note(items), "items": items, "method": "search and model"} | inquiry.facts


def _answer_schema(ids: tuple[str, ...]) -> Schema:
    item = Schema.from_dict({
        "id": fields.String(required=True, validate=validate.OneOf(ids)), "reason": fields.String(required=True, validate=validate.Length(max=160))})
    return Schema.from_dict({"items": fields.List(fields.Nested(item), required=True, validate=validate.Length(max=MOST))})()


def _work_note(items: list[dict[str, Any]]) -> str:
    lines = [f"- {item['title']} ({item['id']})" + (f": {item['reason']}" if item.get("reason") else "") for item in items]
    return "\n".join(["Catalogue items that may fit", *lines]) if items else NOTHING
