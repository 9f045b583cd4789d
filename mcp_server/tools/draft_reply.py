"""A reply to the person who reported an incident, for an agent to read before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from mcp_server.mcp.arguments import Choice, Text
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool
from mcp_server.tools.inquiry import Inquiry, and_facts
from mcp_server.tools.parts import READS, Parts
from mcp_server.tools.supported import Sources

ANSWER_TOKENS = 600
MOST_CHARACTERS_READ = 6000
TONES = {"friendly": "Be friendly and plain.", "formal": "Be formal and polite.", "brief": "Be as brief as possible."}
INSTRUCTION = """You draft a reply of an IT service desk to the person who reported an incident. {tone} {language}
Use only what the record and the notes say. Promise nothing and name no date that they do not name. Never ask for a password.
Begin with a greeting and end with "Service Desk". Answer with one JSON object: reply."""


class DraftReplyInput(Schema):
    record = Text(
        required=True, validate=validate.Length(min=1, max=100_000),
        metadata={"description": f"What the person wrote: the incident or their last message. {MOST_CHARACTERS_READ} characters are read."})
    notes = Text(
        load_default="", validate=validate.Length(max=100_000),
        metadata={"description": "What the reply may use: work notes, the solution, what is still needed. The model knows nothing else."})
    purpose = Text(
        load_default="", validate=validate.Length(max=500),
        metadata={"description": "What the reply should do, such as: ask for the room number; say that it is solved."})
    tone = Choice(tuple(TONES), load_default="friendly", metadata={"description": "How it should sound. Default: friendly."})
    language = Text(
        load_default="", validate=validate.Regexp(r"^[A-Za-z -]{0,40}$", error="must be the name of a language, such as German."),
        metadata={"description": "The language of the reply, such as German. Left out: that of the record."})


class DraftReplyOutput(Schema):
    reply = fields.String(required=True, metadata={"description": "The draft. A person reads it before it is sent."})
    unsupported = fields.List(fields.String(), metadata={"description": "Figures and dates in it that neither record nor notes have. Check them."})


class DraftReply(Tool):
    name = "draft_reply"
    title = "Draft a reply to the caller"
    description = (
        "Drafts a reply to the person who reported an incident. Inputs: `record` (required), what they wrote; `notes`, what the reply may use; "
        "`purpose`, what it should do; `tone` (friendly, formal or brief); `language`. Comes back: an object with `reply`, and in `unsupported` the "
        "numbers, ids and dates that nobody gave. It sends nothing: a person reads the draft first. "
        "Do not use it for work notes (summarize_incident), or to find out the solution (suggest_resolution)."
    )
    input_schema = DraftReplyInput()
    output_schema = and_facts(DraftReplyOutput)
    annotations: ClassVar[Mapping[str, bool]] = READS
    as_task = "optional"

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def run(self, call: CallContext, *, record: str, notes: str, purpose: str, tone: str, language: str) -> dict[str, Any]:
        inquiry = Inquiry(call, self._parts.model, self._parts.redact)
        read = {"record": inquiry.data(record, MOST_CHARACTERS_READ, "record"), "notes": inquiry.data(notes, MOST_CHARACTERS_READ, "notes")}
        purpose = inquiry.data(purpose, name="purpose")
        told = "Write in the language of the record." if not language else f"Write in {language}."
        question = f"What the person wrote:\n{inquiry.around(read['record'])}\n\nNotes:\n{inquiry.around(read['notes'] or '(none)')}"
        question += f"\n\nWhat the reply should do:\n{inquiry.around(purpose)}" if purpose else ""
        prompt = inquiry.prompt(INSTRUCTION.format(tone=TONES[tone], language=told), question, max_tokens=ANSWER_TOKENS, version=INSTRUCTION)
        sources = Sources([*read.values(), purpose])
        reply = sources.without_foreign_links(inquiry.ask(prompt, _AnswerSchema())["reply"])
        unsupported = sources.unsupported(reply)
        return inquiry.restored_all({"reply": reply} | ({"unsupported": unsupported} if unsupported else {})) | inquiry.facts


class _AnswerSchema(Schema):
    reply = fields.String(required=True, validate=validate.Length(min=1, max=2400))
