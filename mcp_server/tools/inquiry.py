"""One call's question to the model: what it is given to read is cleaned, redacted, shortened openly and fenced, and what was noticed is told."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from marshmallow import Schema, fields

from mcp_server.llm.instructions import looks_like_instructions
from mcp_server.llm.ports import Answer, LanguageModel, Message, Prompt
from mcp_server.llm.redaction import Level, Redaction
from mcp_server.llm.structured import ask_structured
from mcp_server.llm.untrusted import MOST_CHARACTERS, Fence, ends, hides_text, plain, shortened
from mcp_server.mcp.context import CallContext

SEED = 20
LOOKED_AT = 3
"""How many times what is read of a text is searched for orders: on all of a very long one that would stop other calls for 0.1 s."""
INSTRUCTIONS, HIDDEN_TEXT, SHORTENED = "instructions", "hidden_text", "shortened"


class Facts(Schema):
    """What every answer says of how it came about."""

    flags = fields.List(fields.String(), metadata={"description": (
        f"What was noticed in the text: `{INSTRUCTIONS}`, it speaks to a language model; `{HIDDEN_TEXT}`, parts of it were invisible and were "
        f"left out; `{SHORTENED}`, its middle was left out.")})
    redacted = fields.List(fields.String(), metadata={"description": "Kinds of secrets and personal data that were kept from the model."})
    degraded = fields.Boolean(metadata={"description": "True when the model did not answer, and this is what was found without its answer."})
    problem = fields.String(metadata={"description": "What was missing on the way, such as the model, and what to do."})
    model = fields.String(required=True, metadata={"description": "The model that answered; `none` when none did."})
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
        clean = self._redaction.redacted(plain(text)).strip()  # all of it: a secret that is cut in two is not known for one
        if any(looks_like_instructions(ends(each, most * LOOKED_AT)) for each in (text, clean)):
            self._flags[INSTRUCTIONS] = None
        if hides_text(text):
            self._flags[HIDDEN_TEXT] = None
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
        """`version`: what names the wording, where `instruction` has parts that the operator writes; empty for one that is not told."""
        if version != "":
            self._facts.setdefault("prompt_version", hashlib.sha256((version or instruction).encode()).hexdigest()[:8])
        messages = self.sealed([Message("system", f"{instruction}\n{self.rule}"), Message("user", question)])
        return Prompt(messages, self._call.model(None), max_tokens=max_tokens, temperature=0.0, seed=SEED)

    def prompt_by_example(self, instruction: str, examples: Sequence[tuple[str, str]], question: str) -> Prompt:
        """One word is wanted, as in the examples: what was asked, and what was right.

        The fence comes from the examples: what is before the question stays the same, and model servers read it once. A text cannot know
        it all the same, and an answer of one token does not tell it.
        """
        fence = Fence.of(instruction, *(text for text, _ in examples))
        messages = [Message("system", f"{instruction}\nAnswer with its name, and nothing else.\n{fence.rule}")]
        for text, answer in examples:
            messages += [Message("user", fence.around(text)), Message("assistant", answer)]
        return Prompt([*messages, Message("user", fence.around(question, len(question)))], self._call.model(None), max_tokens=1, temperature=0.0)

    def sealed(self, messages: Sequence[Message]) -> list[Message]:
        """With a fence that comes from what is asked: the same question is the same prompt, and its answer can be remembered."""
        bare = [message.content.replace(self._fence.marker, "") for message in messages]
        marker = Fence.of(*bare).marker
        return [Message(message.role, message.content.replace(self._fence.marker, marker)) for message in messages]

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

    def tell(self, problem: str) -> None:
        """What the caller should know of the way, if there is nothing worse."""
        if problem:
            self._facts.setdefault("problem", problem)

    def without_the_model(self, problem: str) -> None:
        """The answer is made of what else there is."""
        self._facts |= {"degraded": True, "problem": problem}

    def _answered(self, answer: Answer) -> None:
        self._facts |= {"model": answer.model, "back_end": answer.back_end}
