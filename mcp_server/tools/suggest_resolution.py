"""What to try, from similar incidents that were resolved and from knowledge articles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from mcp_server.errors import ModelError
from mcp_server.knowledge.ports import Hit, Knowledge
from mcp_server.mcp.arguments import Text
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool
from mcp_server.tools.candidates import Candidates, SourceOutput, shown
from mcp_server.tools.inquiry import Inquiry, and_facts
from mcp_server.tools.parts import READS, Parts
from mcp_server.tools.supported import Sources

ANSWER_TOKENS = 500
INCIDENTS, ARTICLES = 4, 3
INCIDENTS_LOOKED_AT = 12
CHARACTERS_OF_A_SOURCE = 1000
MOST_CHARACTERS_READ = 3000
NOTHING = "No similar incident that was resolved and no article was found."
INSTRUCTION = """You propose what to try next for an IT incident, from similar incidents that were resolved and knowledge articles alone.
Each source has its number in brackets.
steps: what to try, the most promising first, each with the number of the one source that says it. If no source fits the incident, give no steps.
Answer with one JSON object: steps (a list of objects with source and text)."""


class SuggestResolutionInput(Schema):
    short_description = Text(
        required=True, validate=validate.Length(min=1, max=1000), metadata={"description": "The incident's short description."})
    description = Text(
        load_default="", validate=validate.Length(max=100_000),
        metadata={"description": f"Its description, and what was tried. {MOST_CHARACTERS_READ} characters are read."})


class StepOutput(Schema):
    text = fields.String(required=True, metadata={"description": "What to try."})
    source = fields.String(required=True, metadata={"description": "The incident or article that says it."})


class SuggestResolutionOutput(Schema):
    work_note = fields.String(required=True, metadata={"description": "The steps and their sources as text, ready for a work note."})
    found = fields.Boolean(required=True, metadata={"description": "False: nothing fits. Do not make up steps then."})
    steps = fields.List(fields.Nested(StepOutput), required=True, metadata={"description": "What to try, the most promising first."})
    sources = fields.List(fields.Nested(SourceOutput), required=True, metadata={"description": "The records they are from, or those found."})
    unsupported = fields.List(fields.String(), metadata={"description": "Figures and dates for which a step was left out: its source lacks them."})


class SuggestResolution(Tool):
    name = "suggest_resolution"
    title = "Suggest a resolution"
    description = (
        "Proposes what to try for an incident, from similar incidents that were resolved and from knowledge articles, each step with its source. "
        "Inputs: `short_description` (required), `description`. Comes back: an object; `steps` with their sources, `work_note` the same as text; "
        "`found` is false when nothing fits. It is a proposal: it changes no record. Use it for an open incident. "
        "Do not use it for how-to questions (answer_from_knowledge), or to list similar incidents (find_similar_incidents)."
    )
    input_schema = SuggestResolutionInput()
    output_schema = and_facts(SuggestResolutionOutput)
    annotations: ClassVar[Mapping[str, bool]] = READS
    as_task = "optional"

    def __init__(self, parts: Parts, knowledge: Knowledge) -> None:
        self._parts = parts
        self._knowledge = knowledge

    def run(self, call: CallContext, *, short_description: str, description: str) -> dict[str, Any]:
        inquiry = Inquiry(call, self._parts.model, self._parts.redact)
        incident = inquiry.data(f"{short_description}\n{description}".strip(), MOST_CHARACTERS_READ, "description")
        candidates = self._candidates(call, incident)
        if not candidates:
            return {"work_note": NOTHING, "found": False, "steps": [], "sources": []} | inquiry.facts
        read = candidates.read(inquiry, CHARACTERS_OF_A_SOURCE)
        told = f"Sources:\n{inquiry.around(shown(read))}\n\nThe incident:\n{inquiry.around(incident)}"
        try:
            said = inquiry.ask(inquiry.prompt(INSTRUCTION, told, max_tokens=ANSWER_TOKENS), _answer_schema(tuple(read)))
        except ModelError as error:
            inquiry.without_the_model(error.message)
            return _without_the_model(candidates) | inquiry.facts
        return inquiry.restored_all(_checked(said, read, candidates)) | inquiry.facts

    def _candidates(self, call: CallContext, query: str) -> Candidates:
        """Only incidents that say how they were resolved are of use."""
        candidates = Candidates(call, self._knowledge)
        candidates.search(query, "incident", INCIDENTS_LOOKED_AT)
        candidates.keep(_is_resolved, INCIDENTS)
        candidates.search(query, "article", ARTICLES)
        return candidates


def _is_resolved(hit: Hit) -> bool:
    return bool(hit.document.facts.get("resolution", "").strip())


def _answer_schema(numbers: tuple[str, ...]) -> Schema:
    step = Schema.from_dict({
        "source": fields.String(required=True, validate=validate.OneOf(numbers)),
        "text": fields.String(required=True, validate=validate.Length(min=1, max=300))})
    return Schema.from_dict({"steps": fields.List(fields.Nested(step), required=True, validate=validate.Length(max=6))})()


def _checked(said: Mapping[str, Any], read: Mapping[str, str], candidates: Candidates) -> dict[str, Any]:
    """Steps whose figures their own source does not have are left out."""
    steps, left_out = [], []
    for step in said["steps"]:
        source = Sources([read[step["source"]]])
        if wrong := source.unsupported(step["text"]):
            left_out += wrong
        else:
            steps.append({"text": source.without_foreign_links(step["text"]), "source": step["source"]})
    sources = candidates.sources([step["source"] for step in steps] if steps else None)
    lines = [f"{number}. {step['text']} [{step['source']}]" for number, step in enumerate(steps, 1)]
    note = "\n".join(["To try (proposed by a language model)", *lines]) if steps else NOTHING
    result: dict[str, Any] = {"work_note": note, "found": bool(steps), "steps": steps, "sources": sources}
    return result | ({"unsupported": list(dict.fromkeys(left_out))} if left_out else {})


def _without_the_model(candidates: Candidates) -> dict[str, Any]:
    """What resolved the similar incidents, word for word."""
    steps = [
        {"text": hit.document.facts["resolution"].strip()[:300], "source": number} for number, hit in candidates.hits.items() if _is_resolved(hit)]
    lines = [f"{number}. {step['text']} [{step['source']}]" for number, step in enumerate(steps, 1)]
    note = "\n".join(["What resolved similar incidents", *lines]) if steps else NOTHING
    return {"work_note": note, "found": bool(steps), "steps": steps, "sources": candidates.sources()}
