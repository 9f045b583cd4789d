"""A record and its work notes in a few sentences, with what each rests on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from mcp_server.errors import ToolError
from mcp_server.mcp.arguments import Text
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool
from mcp_server.tools.inquiry import Inquiry, and_facts
from mcp_server.tools.parts import READS, Parts
from mcp_server.tools.supported import Sources

ANSWER_TOKENS = 600
INSTRUCTION_TOKENS = 450
CHARACTERS_PER_TOKEN = 3
MOST_PARTS = 12
LONGEST_ENTRY = 4000
# As ServiceNow writes a journal: 2026-11-21 08:10:12 - Ada Lovelace (Work notes)
_STAMP = re.compile(r"^(?=\d{2,4}[-/.]\d{2}[-/.]\d{2,4} \d{2}:\d{2}(?::\d{2})? - )", re.MULTILINE)
INSTRUCTION = """You summarise an IT incident for the people who work on it.
The entries of the record come in order, each with its number in brackets.
summary: what happened, who is affected and how it stands, in at most five sentences. cause: the cause if an entry says it, else empty.
actions: what was done. next_steps: what an entry says is still to do. citations: the numbers of the entries on which the summary rests.
Write only what the entries say. Copy numbers, names and dates as they are written.
Answer with one JSON object: summary, cause, actions, next_steps, citations."""
PARTIAL = """You take notes of one part of a long IT incident record. The entries come in order, each with its number in brackets.
points: the facts of this part that a summary needs, each with the number of its entry. Write only what the entries say.
Answer with one JSON object: points, a list of objects with entry and point."""


class SummarizeIncidentInput(Schema):
    short_description = Text(
        required=True, validate=validate.Length(min=1, max=1000), metadata={"description": "The incident's short description."})
    description = Text(load_default="", validate=validate.Length(max=100_000), metadata={"description": "The incident's description."})
    work_notes = Text(
        load_default="", validate=validate.Length(max=400_000),
        metadata={"description": "Work notes and comments as ServiceNow shows them, each with its date line; or paragraphs."})


class SummarizeIncidentOutput(Schema):
    work_note = fields.String(required=True, metadata={"description": "The whole summary as text, ready for a work note."})
    summary = fields.String(required=True, metadata={"description": "What happened, who is affected and how it stands."})
    cause = fields.String(metadata={"description": "The cause, if the record says it."})
    actions = fields.List(fields.String(), required=True, metadata={"description": "What was done."})
    next_steps = fields.List(fields.String(), required=True, metadata={"description": "What the record says is still to do."})
    citations = fields.List(fields.String(), required=True, metadata={"description": "Entries it rests on: E1 is the description."})
    entries = fields.Integer(required=True, metadata={"description": "How many entries the record has."})
    entries_left_out = fields.Integer(metadata={"description": "Entries in the middle that were not read, because the record is too long."})
    unsupported = fields.List(fields.String(), metadata={"description": (
        "Figures and dates that the model wrote and the record does not have. Sentences with them were left out, unless none would be left.")})


class SummarizeIncident(Tool):
    name = "summarize_incident"
    title = "Summarize an incident"
    description = (
        "Summarises one incident from its short description, description and work notes: what happened, cause, actions, next steps, and the entries "
        "each rests on. Inputs: `short_description` (required), `description`, `work_notes` as in the record; long ones are read in parts. "
        "Comes back: an object; `work_note` is the whole text. Numbers, ids and dates that are not in the record are taken out. "
        "Use it for a handover or a long record. Do not use it to classify, or to find a solution."
    )
    input_schema = SummarizeIncidentInput()
    output_schema = and_facts(SummarizeIncidentOutput)
    annotations: ClassVar[Mapping[str, bool]] = READS
    as_task = "optional"

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._room = max(1000, (parts.context - ANSWER_TOKENS - INSTRUCTION_TOKENS) * CHARACTERS_PER_TOKEN)

    def run(self, call: CallContext, *, short_description: str, description: str, work_notes: str) -> dict[str, Any]:
        inquiry = Inquiry(call, self._parts.model, self._parts.redact)
        texts = entries_of(f"{short_description}\n{description}".strip(), work_notes)
        entries = {f"E{number}": inquiry.data(text, min(LONGEST_ENTRY, self._room // 2), f"entry {number}") for number, text in enumerate(texts, 1)}
        chunks = _in_chunks({name: text for name, text in entries.items() if text}, self._room)
        left_out = 0
        if len(chunks) > MOST_PARTS:  # the beginning and the end say most
            left_out = sum(map(len, chunks[MOST_PARTS // 2 : -MOST_PARTS // 2]))
            chunks = [*chunks[: MOST_PARTS // 2], *chunks[-MOST_PARTS // 2 :]]
        read = {name: text for chunk in chunks for name, text in chunk.items()}
        if not read:
            raise ToolError("There is no text to summarise. Give the incident's short_description, description and work_notes.")
        asked = _shown(read) if len(chunks) == 1 else "\n".join(self._points(call, inquiry, chunks))[: self._room]
        prompt = inquiry.prompt(INSTRUCTION, inquiry.around(asked), max_tokens=ANSWER_TOKENS)
        said = inquiry.ask(prompt, _answer_schema(tuple(read)))
        result = inquiry.restored_all(_checked(said, Sources(read.values())))
        counted = {"entries": len(entries)} | ({"entries_left_out": left_out} if left_out else {})
        return {"work_note": _work_note(result), **result, **counted, **inquiry.facts}

    def _points(self, call: CallContext, inquiry: Inquiry, chunks: Sequence[Mapping[str, str]]) -> list[str]:
        """What each part says, one line a point."""
        points = []
        share = self._room // len(chunks)
        for number, chunk in enumerate(chunks, 1):
            call.progress(number, len(chunks) + 1, f"Reading part {number} of {len(chunks)}")
            said = inquiry.ask(inquiry.prompt(PARTIAL, inquiry.around(_shown(chunk)), max_tokens=ANSWER_TOKENS), _points_schema(tuple(chunk)))
            sources = Sources(chunk.values())
            noted = [f"[{point['entry']}] {point['point']}" for point in said["points"] if not sources.unsupported(point["point"])]
            points.append("\n".join(noted)[:share])
        return points


def entries_of(description: str, work_notes: str) -> list[str]:
    """The description, then each note. Newlines are ServiceNow's or anybody's."""
    notes = work_notes.replace("\r\n", "\n").replace("\r", "\n")
    split = _STAMP.split(notes) if _STAMP.search(notes) else re.split(r"\n[ \t]*\n", notes)
    return [text for text in (description, *(note.strip() for note in split)) if text]


def _in_chunks(entries: Mapping[str, str], room: int) -> list[dict[str, str]]:
    chunks: list[dict[str, str]] = []
    taken = room + 1
    for name, text in entries.items():
        size = len(name) + len(text) + 4
        if taken + size > room:
            chunks.append({})
            taken = 0
        chunks[-1][name] = text
        taken += size
    return chunks


def _shown(entries: Mapping[str, str]) -> str:
    return "\n".join(f"[{name}] {text}" for name, text in entries.items())


def _line(most: int) -> fields.String:
    return fields.String(required=True, validate=validate.Length(max=most))


def _lines(most: int) -> fields.List[str]:
    return fields.List(_line(240), required=True, validate=validate.Length(max=most))


def _answer_schema(entries: tuple[str, ...]) -> Schema:
    return Schema.from_dict({
        "summary": fields.String(required=True, validate=validate.Length(min=1, max=900)), "cause": _line(240), "actions": _lines(6),
        "next_steps": _lines(4),
        "citations": fields.List(fields.String(validate=validate.OneOf(entries)), required=True, validate=validate.Length(max=8))})()


def _points_schema(entries: tuple[str, ...]) -> Schema:
    point = Schema.from_dict({"entry": fields.String(required=True, validate=validate.OneOf(entries)), "point": _line(240)})
    return Schema.from_dict({"points": fields.List(fields.Nested(point), required=True, validate=validate.Length(max=10))})()


def _checked(said: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    """Without what the record does not say."""
    summary, unsupported = sources.without_unsupported(said["summary"])
    kept: dict[str, Any] = {"summary": summary}
    if said["cause"].strip():
        if wrong := sources.unsupported(said["cause"]):
            unsupported += wrong
        else:
            kept["cause"] = said["cause"].strip()
    for name in ("actions", "next_steps"):
        kept[name] = [line for line in said[name] if line.strip() and not sources.unsupported(line)]
        unsupported += [fact for line in said[name] for fact in sources.unsupported(line)]
    kept["citations"] = sorted(set(said["citations"]), key=lambda name: int(name[1:]))
    return kept | ({"unsupported": list(dict.fromkeys(unsupported))} if unsupported else {})


def _work_note(result: Mapping[str, Any]) -> str:
    lines = ["Summary (proposed by a language model)", result["summary"]]
    lines += [f"Cause: {result['cause']}"] if "cause" in result else []
    for title, name in (("Done", "actions"), ("Next", "next_steps")):
        lines += [f"{title}:", *(f"- {line}" for line in result[name])] if result[name] else []
    return "\n".join(lines)
