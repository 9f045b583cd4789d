"""A prompt to the language model, and its answer as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from marshmallow import Schema, validate

from mcp_server.llm.ports import Message, Prompt
from mcp_server.llm.redaction import Redaction
from mcp_server.mcp.arguments import Number, Text, Whole
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool
from mcp_server.tools.parts import Parts

MOST_CHARACTERS = 100_000


class LlmGenerateInput(Schema):
    prompt = Text(
        required=True, validate=validate.Length(min=1, max=MOST_CHARACTERS),
        metadata={"description": "What the model is asked. It knows nothing else: put the text it should work on in here."},
    )
    system = Text(
        validate=validate.Length(max=MOST_CHARACTERS),
        metadata={"description": "How the model should behave, such as: Answer in two sentences, in German."},
    )
    model = Text(
        validate=validate.Length(min=1, max=128),
        metadata={"description": "Name of a model that the model server has; server_status lists them. Leave it out for the default."},
    )
    max_tokens = Whole(
        load_default=512, validate=validate.Range(min=1, max=8192),
        metadata={"description": "Longest answer, in tokens (about 4 characters each). A longer answer is cut, and says so."},
    )
    temperature = Number(
        validate=validate.Range(min=0, max=2),
        metadata={"description": "0 for the most likely answer, higher for more varied ones. Leave it out for the model's own."},
    )


class LlmGenerate(Tool):
    name = "llm_generate"
    title = "Generate text with the local model"
    description = (
        "Has the language model inside this network write a text: a summary, a draft, a rewording, an explanation. "
        "Give the whole task and the text to work on in `prompt`; optionally how to behave in `system`. "
        "Comes back: the model's text. An answer that `max_tokens` cut off ends with a line in square brackets that says so. "
        "The model cannot look anything up, keeps nothing between calls and may be wrong. "
        "Do not use it to classify an incident: classify_incident does that."
    )
    input_schema = LlmGenerateInput()
    annotations: ClassVar[Mapping[str, bool]] = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False}
    as_task = "optional"

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def run(
        self, call: CallContext, *, prompt: str, max_tokens: int,
        system: str | None = None, model: str | None = None, temperature: float | None = None,
    ) -> str:
        redaction = Redaction(self._parts.redact)
        messages = [Message("system", redaction.redacted(system))] if system else []
        messages.append(Message("user", redaction.redacted(prompt)))
        asked = Prompt(messages, call.model(model), max_tokens=max_tokens, temperature=temperature)
        answer = self._parts.model.answer(asked, call.deadline, call.counting_tokens())
        text = redaction.restored(answer.text)
        if not answer.complete:
            text += f"\n[The answer was cut off after {max_tokens} tokens. For more, ask again with a larger max_tokens.]"
        return f"{text}\n[Kept from the model: {', '.join(redaction.kinds)}.]" if redaction.kinds else text
