"""One call's question to the model: what it is given to read is cleaned, redacted, shortened openly and fenced, and what was noticed is told."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from marshmallow import Schema, fields

from mcp_server.llm.instructions import looks_like_instructions
from mcp_server.llm.ports import Answer, LanguageModel, Message, Prompt
from mcp_server.llm.redaction import Level, Redaction
from mcp_server.llm.structured import ask_structured
from mcp_server.llm.untrusted import MOST_CHARACTERS, Fence, hides_text, plain, shortened
from mcp_server.mcp.context import CallContext

SEED = 20
INSTRUCTIONS, HIDDEN_TEXT, SHORTENED = "instructions", "hidden_text", "shortened"


class Facts(Schema):
    """What every answer says of how it came about."""

    flags = fields.List(fields.String(), metadata={"description": (
        f"What was noticed in the text: `{INSTRUCTIONS}`, it speaks to a language model; `{HIDDEN_TEXT}`, parts of it were invisible and were "
        f"left out; `{SHORTENED}`, its middle was left out.")})
    redacted = fields.List(fields.String(), metadata={"description": "Kinds of secrets and personal data that were kept from the model."})
    degraded = fields.Boolean(metadata={"description": "True when this was made without the model."})
    problem = fields.String(metadata={"description": "Why it was made without the model, and what to do."})
    model = fields.String(required=True, metadata={"description": "The model that answered; `none` when it was made without."})
    back_end = fields.String(required=True, metadata={"description": "What it runs on. `embedded` is an evaluation model: do not rely on it."})
    prompt_version = fields.String(metadata={"description": "Changes when this server asks the model in other words."})


def and_facts(schema: type[Schema]) -> Schema:
    """An output schema whose answers also say how they came about, behind what they say."""
    return Schema.from_dict({**schema().declared_fields, **Facts().declared_fields}, name=schema.__name__)()


class Inquiry:
    """`redact`: what is kept from the model. Texts are taken in before the question is asked."""

    def __init__(self, call: CallContext, model: LanguageModel, redact: Level = "off") -> None:
        self._call = call
        self._model = model
        self._fence = Fence()
        self._redaction = Redaction(redact)
        self._flags: dict[str, None] = {}
        self._facts: dict[str, Any] = {"model": "none", "back_end": "none"}

    @property
    def flagged(self) -> bool:
        """Whether a text speaks to the model."""
        return INSTRUCTIONS in self._flags

    @property
    def rule(self) -> str:
        """What the system message says about the fence."""
        return self._fence.rule

    @property
    def facts(self) -> dict[str, Any]:
        noticed = {"flags": list(self._flags), "redacted": self._redaction.kinds}
        return {name: kinds for name, kinds in noticed.items() if kinds} | self._facts

    def data(self, text: str, most: int = MOST_CHARACTERS, name: str = "text") -> str:
        """What somebody else wrote, as the model may read it. Of a long text the middle is left out, and the caller is told."""
        if looks_like_instructions(text):
            self._flags[INSTRUCTIONS] = None
        if hides_text(text):
            self._flags[HIDDEN_TEXT] = None
        clean = self._redaction.redacted(plain(text)).strip()
        if len(clean) > most:
            self._flags[SHORTENED] = None
            self._call.log("notice", f"{name} has {len(clean)} characters, and {most} are read: its middle is left out.")
        return shortened(clean, most)

    def fenced(self, text: str, most: int = MOST_CHARACTERS, name: str = "text") -> str:
        return self.around(self.data(text, most, name))

    def around(self, clean: str) -> str:
        """A fence around what `data` gave."""
        return self._fence.around(clean, len(clean))

    def restored_all(self, values: dict[str, Any]) -> dict[str, Any]:
        """Personal data is back in every text of an answer."""
        return {name: self.restored(value) for name, value in values.items()}

    def restored(self, value: Any) -> Any:
        """Personal data is back in the texts of a value."""
        if isinstance(value, str):
            return self._redaction.restored(value)
        if isinstance(value, list):
            return [self.restored(member) for member in value]
        return self.restored_all(value) if isinstance(value, dict) else value

    def prompt(self, instruction: str, question: str, *, max_tokens: int, version: str | None = None) -> Prompt:
        """`version`: what names the wording, where `instruction` has parts that the operator writes. The first prompt of a call names it."""
        self._facts.setdefault("prompt_version", hashlib.sha256((version or instruction).encode()).hexdigest()[:8])
        messages = [Message("system", f"{instruction}\n{self.rule}"), Message("user", question)]
        return Prompt(messages, self._call.model(None), max_tokens=max_tokens, temperature=0.0, seed=SEED)

    def ask(self, prompt: Prompt, schema: Schema) -> dict[str, Any]:
        """The model's answer in this form, as it came: with marks for what was redacted. Raises a ModelError."""
        structured = ask_structured(self._model, prompt, schema, self._call.deadline, self._call.counting_tokens())
        self._answered(structured.answer)
        return structured.values

    def ask_for_text(self, prompt: Prompt) -> Answer:
        """The model's text, personal data restored. Raises a ModelError."""
        answer = self._model.answer(prompt, self._call.deadline, self._call.counting_tokens())
        self._answered(answer)
        return replace(answer, text=self._redaction.restored(answer.text))

    def without_the_model(self, problem: str) -> None:
        """The answer is made of what else there is."""
        self._facts |= {"degraded": True, "problem": problem}

    def _answered(self, answer: Answer) -> None:
        self._facts |= {"model": answer.model, "back_end": answer.back_end}
