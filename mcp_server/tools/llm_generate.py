"""A prompt to the language model, and its answer as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from marshmallow import Schema, validate

from mcp_server.llm.ports import LanguageModel, Message, Prompt
from mcp_server.mcp.arguments import Number, Text, Whole
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool

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

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def run(
        self, call: CallContext, *, prompt: str, max_tokens: int,
        system: str | None = None, model: str | None = None, temperature: float | None = None,
    ) -> str:
        messages = [Message("system", system)] if system else []
        messages.append(Message("user", prompt))
        answer = self._model.answer(Prompt(messages, model, max_tokens=max_tokens, temperature=temperature), call.deadline, call.counting_tokens())
        if answer.complete:
            return answer.text
        return f"{answer.text}\n[The answer was cut off after {max_tokens} tokens. For more, ask again with a larger max_tokens.]"
