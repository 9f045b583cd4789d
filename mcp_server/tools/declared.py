"""Tools without code: each YAML file in `config/tools/` asks the model one question, with what the caller gives filled in.

What a caller gives is data: free text is fenced, and never gets into the system message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from marshmallow import Schema, ValidationError, fields, pre_load, validate

from config.settings import ConfigurationError
from mcp_server.llm.ports import Message, Prompt
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool
from mcp_server.tools.declared_fields import LINE, NAME, TYPES, Facts, FieldSchema, OutputFieldSchema, input_schema, most_read, output_schema
from mcp_server.tools.inquiry import Inquiry
from mcp_server.tools.parts import Parts
from mcp_server.tools.placeholders import NOT_GIVEN, Placeholders
from mcp_server.tools.yaml_file import YamlFile, read
from mcp_server.validation import in_words

LONGEST_DESCRIPTION = 1000
MOST_EXAMPLES = 8
ASKS_THE_MODEL = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False}
"""True of every tool that only asks the local model; a file may say more."""


class AnnotationsSchema(Schema):
    readOnlyHint = fields.Boolean(truthy={True}, falsy={False})  # noqa: N815 the protocol's spelling
    destructiveHint = fields.Boolean(truthy={True}, falsy={False})  # noqa: N815 the same
    idempotentHint = fields.Boolean(truthy={True}, falsy={False})  # noqa: N815 the same
    openWorldHint = fields.Boolean(truthy={True}, falsy={False})  # noqa: N815 the same


class ExampleSchema(Schema):
    """`answer`: what the model should say to these arguments, a text or the members of the output."""

    arguments = fields.Dict(keys=fields.String(), required=True)
    answer = fields.Raw(required=True)


class ToolFileSchema(Schema):
    """What a file may say. `output`: `text`, or the members of a flat object."""

    name = fields.String(required=True, validate=NAME)
    title = fields.String(required=True, validate=LINE)
    description = fields.String(required=True, validate=validate.Length(min=20, max=LONGEST_DESCRIPTION))
    inputs = fields.Dict(keys=fields.String(validate=NAME), values=fields.Nested(FieldSchema), required=True, validate=validate.Length(min=1, max=30))
    prompt = fields.String(required=True, validate=validate.Length(min=1, max=20_000))
    system = fields.String(validate=validate.Length(min=1, max=20_000))
    output = fields.Dict(
        keys=fields.String(validate=NAME), values=fields.Nested(OutputFieldSchema), load_default=dict, validate=validate.Length(min=1, max=30),
        error_messages={"invalid": "must be `text`, or the members of an object, each with its type and description."})
    model = fields.String(validate=validate.Length(min=1, max=128))
    max_tokens = fields.Integer(strict=True, load_default=512, validate=validate.Range(1, 8192))
    temperature = fields.Float(validate=validate.Range(0, 2))
    annotations = fields.Nested(AnnotationsSchema, load_default=dict)
    examples = fields.List(fields.Nested(ExampleSchema), load_default=list, validate=validate.Length(max=MOST_EXAMPLES))

    @pre_load
    def without_text(self, data: Any, **_: Any) -> Any:
        """Text has no members."""
        return {key: value for key, value in data.items() if (key, value) != ("output", "text")} if isinstance(data, dict) else data


@dataclass(frozen=True, slots=True)
class Example:
    """As the schemas read it."""

    arguments: Mapping[str, Any]
    answer: Any


@dataclass(frozen=True, slots=True)
class Declaration:
    """A file that was found good."""

    path: Path
    facts: Facts
    prompt: Placeholders
    system: Placeholders | None
    examples: tuple[Example, ...] = ()


def declaration(path: Path) -> Declaration:
    """What a file declares. Raises ConfigurationError with every problem."""
    file = read(path, ToolFileSchema())
    problems: list[str] = []
    prompt, system = _template(file, "prompt", problems), _template(file, "system", problems)
    if not problems:
        problems.extend(_mismatches(file, prompt.names if prompt else frozenset(), system.names if system else frozenset()))
    examples = () if problems else _examples(file, problems)
    if problems or prompt is None:
        raise ConfigurationError(problems)
    return Declaration(path, file.values, prompt, system, examples)


def _template(file: YamlFile, key: str, problems: list[str]) -> Placeholders | None:
    try:
        return Placeholders(file.values[key]) if key in file.values else None
    except ValueError as error:
        problems.append(file.problem((key,), str(error)))
        return None


def _examples(file: YamlFile, problems: list[str]) -> tuple[Example, ...]:
    """Each is what a call could bring, and what the model could answer."""
    arguments, answer = input_schema(file.values["inputs"]), output_schema(file.values["output"]) if file.values["output"] else TextSchema()
    examples = []
    for number, written in enumerate(file.values["examples"]):
        said = written["answer"] if file.values["output"] else {"answer": written["answer"]}
        read = {}
        for key, schema, value in (("arguments", arguments, written["arguments"]), ("answer", answer, said)):
            try:
                read[key] = schema.load(value)
            except ValidationError as error:
                problems.append(file.problem(("examples", number, key), in_words(error)))
        if len(read) == 2:  # noqa: PLR2004 - both are good
            examples.append(Example(read["arguments"], read["answer"] if file.values["output"] else read["answer"]["answer"]))
    return tuple(examples)


class TextSchema(Schema):
    answer = fields.String(required=True)


def _mismatches(file: YamlFile, in_prompt: frozenset[str], in_system: frozenset[str]) -> Iterator[str]:
    inputs = file.values["inputs"]
    for key, names in (("prompt", in_prompt), ("system", in_system)):
        for name in sorted(names - inputs.keys()):
            yield file.problem((key,), f"{{{{ {name} }}}} is not one of the inputs: {', '.join(inputs)}.")
    for name, facts in inputs.items():
        if name not in in_prompt | in_system:
            yield file.problem(("inputs", name), f"is used nowhere. Write {{{{ {name} }}}} into the prompt, or take it out.")
        elif name in in_system and TYPES[facts["type"]].free:
            yield file.problem(("system",), f"{{{{ {name} }}}} is free text, which could give the model orders: put it into the prompt.")


class DeclaredTool(Tool):
    """Asks the model what its file says."""

    def __init__(self, declared: Declaration, parts: Parts) -> None:
        facts = declared.facts
        self.input_schema = input_schema(facts["inputs"])
        self._answer_schema = output_schema(facts["output"]) if facts["output"] else None
        self.output_schema = self._answer_schema
        self.declared = declared
        self._parts = parts

    def run(self, call: CallContext, **arguments: Any) -> Any:
        return self.answer(call, arguments, self.declared.examples)

    def answer(self, call: CallContext, arguments: Mapping[str, Any], examples: Sequence[Example]) -> Any:
        """What the model says after these examples."""
        facts, inquiry = self.declared.facts, Inquiry(call, self._parts.model, self._parts.redact)
        messages = self._messages(inquiry, arguments, examples)
        prompt = Prompt(messages, call.model(facts.get("model")), max_tokens=facts["max_tokens"], temperature=facts.get("temperature"))
        if self._answer_schema is not None:
            return inquiry.restored_all(inquiry.ask(prompt, self._answer_schema))
        answer = inquiry.ask_for_text(prompt)
        return answer.text if answer.complete else f"{answer.text}\n[The answer was cut off after {facts['max_tokens']} tokens.]"

    def _messages(self, inquiry: Inquiry, arguments: Mapping[str, Any], examples: Sequence[Example]) -> list[Message]:
        """An example is a question that was answered before. The system message is that of the call: it has no free text."""
        values = self._values(inquiry, arguments)
        system = [self.declared.system.filled(values)] if self.declared.system else []
        if any(TYPES[facts["type"]].free for facts in self.declared.facts["inputs"].values()):
            system.append(inquiry.rule)
        told = [Message("system", "\n".join(system))] if system else []
        for example in examples:
            answer = example.answer if isinstance(example.answer, str) else orjson.dumps(example.answer).decode()
            told += [Message("user", self.declared.prompt.filled(self._values(inquiry, example.arguments))), Message("assistant", answer)]
        return [*told, Message("user", self.declared.prompt.filled(values))]

    def _values(self, inquiry: Inquiry, arguments: Mapping[str, Any]) -> dict[str, str]:
        return {name: self._written(inquiry, name, value) for name, value in arguments.items() if value is not None}

    def _written(self, inquiry: Inquiry, name: str, value: Any) -> str:
        """A value as it stands in the prompt."""
        facts = self.declared.facts["inputs"][name]
        if isinstance(value, bool):
            return "yes" if value else "no"
        if not TYPES[facts["type"]].free:
            return str(value)
        text = inquiry.data("\n".join(f"- {item}" for item in value) if isinstance(value, list) else value, most_read(facts), name)
        return inquiry.around(text) if text else NOT_GIVEN


def declared_tool(declared: Declaration, parts: Parts) -> Tool:
    """The tool of a file: a class with its facts on top, as one that is written in Python."""
    facts = declared.facts
    on_top = {
        "name": facts["name"], "title": facts["title"], "description": " ".join(facts["description"].split()),
        "annotations": ASKS_THE_MODEL | facts["annotations"], "declared_in": str(declared.path)}
    return type("DeclaredTool", (DeclaredTool,), on_top)(declared, parts)  # type: ignore[no-any-return] # mypy does not follow type()
