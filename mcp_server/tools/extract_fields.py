"""Values that stand in a text, by the names that the caller gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from mcp_server.errors import ToolError
from mcp_server.mcp.arguments import Text, TextList
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool
from mcp_server.tools.inquiry import Inquiry, and_facts
from mcp_server.tools.parts import READS, Parts

MOST_FIELDS, LONGEST_VALUE = 20, 300
MOST_CHARACTERS_READ = 8000
TOKENS_A_FIELD = 60
TYPES = {
    "text": re.compile(r".+"), "number": re.compile(r"[-+]?[0-9][0-9.,' ]*"), "date": re.compile(r".*[0-9].*"),
    "email": re.compile(r"[^\s@]+@[^\s@]+|\[email [0-9]+\]"), "phone": re.compile(r"[+0-9 ()./-]{5,}|\[phone [0-9]+\]"),
}
_FIELD = re.compile(r"([^\x00-\x1f:{}\"\\]{1,50}?)\s*(?:[:(]\s*([a-z]+)\s*\)?)?")
INSTRUCTION = """You copy values out of a text. For each of these fields write its value as it stands in the text, or null if it is not there:
{fields}
Never guess, never translate, never shorten. Answer with one JSON object with these members: {names}."""


class ExtractFieldsInput(Schema):
    text = Text(
        required=True, validate=validate.Length(min=1, max=100_000),
        metadata={"description": f"The text to read, such as an e-mail or a description. {MOST_CHARACTERS_READ} characters are read."})
    fields_wanted = TextList(
        required=True, validate=validate.Length(min=1, max=MOST_FIELDS), data_key="fields",
        metadata={"description": (
            "Names of the values, comma separated or as a list: name, asset tag, room. A type may follow a colon: due:date, count:number, "
            "contact:email, call back:phone; else it is text.")})


class ExtractFieldsOutput(Schema):
    work_note = fields.String(required=True, metadata={"description": "The fields as text, one a line, ready for a work note."})
    values = fields.Dict(
        keys=fields.String(), values=fields.String(allow_none=True), required=True,
        metadata={"description": "Each field with its value as it stands in the text, or null."})
    missing = fields.List(fields.String(), required=True, metadata={"description": "Fields that the text does not say."})
    refused = fields.List(fields.String(), metadata={"description": "Fields whose value by the model is not in the text, or not of the type."})


class ExtractFields(Tool):
    name = "extract_fields"
    title = "Extract fields from a text"
    description = (
        "Copies named values out of a text: an e-mail, a description, a chat. Inputs: `text`, and `fields`, the names, such as: name, asset tag, "
        "room, due:date. Comes back: an object; `values` has each field with what stands in the text, or null; `missing` names what the text does "
        "not say. A value that is not in the text is never returned. "
        "Use it to fill in a form. Do not use it to summarise, to count or to conclude anything."
    )
    input_schema = ExtractFieldsInput()
    output_schema = and_facts(ExtractFieldsOutput)
    annotations: ClassVar[Mapping[str, bool]] = READS
    as_task = "optional"

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def run(self, call: CallContext, *, text: str, fields_wanted: list[str]) -> dict[str, Any]:
        types = _types(fields_wanted)
        inquiry = Inquiry(call, self._parts.model, self._parts.redact)
        read = inquiry.data(text, MOST_CHARACTERS_READ)
        keys = {f"field_{number}": name for number, name in enumerate(types, 1)}
        listed = "\n".join(f"- {key}: {name} ({types[name]})" for key, name in keys.items())
        instruction = INSTRUCTION.format(fields=listed, names=", ".join(keys))
        prompt = inquiry.prompt(instruction, inquiry.around(read), max_tokens=100 + TOKENS_A_FIELD * len(types), version=INSTRUCTION)
        said = inquiry.ask(prompt, _answer_schema(keys))
        found = {name: _as_it_stands(said[key], read) for key, name in keys.items()}
        values = {name: value if value is not None and TYPES[types[name]].fullmatch(value) else None for name, value in found.items()}
        refused = [name for key, name in keys.items() if values[name] is None and (said[key] or "").strip()]
        result: dict[str, Any] = {
            "work_note": "\n".join(f"{name}: {'(not said)' if value is None else value}" for name, value in values.items()),
            "values": values, "missing": [name for name, value in values.items() if value is None]}
        return inquiry.restored_all(result | ({"refused": refused} if refused else {})) | inquiry.facts


def _types(wanted: list[str]) -> dict[str, str]:
    """The fields by name, in their order. Raises ToolError."""
    types = {}
    for written in wanted:
        found = _FIELD.fullmatch(written.strip())
        kind = (found[2] or "text") if found else ""
        if found is None or kind not in TYPES:
            raise ToolError(f"fields: {written[:60]!r} is no field. Write its name, and if wanted a colon and one of: {', '.join(TYPES)}.")
        types[found[1]] = kind
    return types


def _answer_schema(keys: Mapping[str, str]) -> Schema:
    """The names are the caller's, so the model's members have names of ours."""
    return Schema.from_dict({
        key: fields.String(required=True, allow_none=True, validate=validate.Length(max=LONGEST_VALUE), metadata={"description": name})
        for key, name in keys.items()})()


def _as_it_stands(value: str | None, text: str) -> str | None:
    """The value as the text writes it, without regard to case and blanks; None when it is not in the text."""
    words = (value or "").split()
    if not words:
        return None
    found = re.search(r"(?<!\w)" + r"\s+".join(map(re.escape, words)) + r"(?!\w)", text, re.IGNORECASE)
    return " ".join(found[0].split()) if found else None
