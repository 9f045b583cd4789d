"""Prompts without code: each YAML file in `config/prompts/` is a text that a person chooses, with blanks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from config.settings import ConfigurationError
from mcp_server.llm.untrusted import Fence, plain
from mcp_server.mcp.completion import matching
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.prompts import LONGEST_ARGUMENT, Prompt, PromptArgument, say
from mcp_server.tools.declared_fields import LINE, NAME
from mcp_server.tools.placeholders import Placeholders
from mcp_server.tools.taxonomy import Taxonomy
from mcp_server.tools.yaml_file import YamlFile, read

ROLES = ("user", "assistant")
VALUES_FROM = ("taxonomy.categories", "taxonomy.assignment_groups")


def lists_of(taxonomy: Taxonomy) -> dict[str, tuple[str, ...]]:
    """What `values_from` can name."""
    groups = dict.fromkeys(category.assignment_group for category in taxonomy.categories if category.assignment_group)
    return dict(zip(VALUES_FROM, (tuple(category.id for category in taxonomy.categories), tuple(groups)), strict=True))


class ArgumentSchema(Schema):
    """`values` and `values_from` are proposed while somebody types; others may be given all the same. `fenced`: somebody else wrote the text."""

    description = fields.String(required=True, validate=LINE)
    title = fields.String(validate=LINE)
    required = fields.Boolean(truthy={True}, falsy={False}, load_default=False)
    default = fields.String()
    fenced = fields.Boolean(truthy={True}, falsy={False}, load_default=False)
    values = fields.List(fields.String(validate=LINE), validate=validate.Length(min=1, max=1000))
    values_from = fields.String(validate=validate.OneOf(VALUES_FROM, error="must be one of: {choices}."))

    @validates_schema(skip_on_field_errors=True)
    def check(self, facts: dict[str, Any], **_: Any) -> None:
        if facts["required"] and "default" in facts:
            raise ValidationError({"default": ["What has a default is not required."]})
        if "values" in facts and "values_from" in facts:
            raise ValidationError({"values_from": ["Give the values, or where they are from, not both."]})


class MessageSchema(Schema):
    role = fields.String(required=True, validate=validate.OneOf(ROLES, error="must be one of: {choices}."))
    text = fields.String(required=True, validate=validate.Length(min=1, max=20_000))


class PromptFileSchema(Schema):
    """What a file may say."""

    name = fields.String(required=True, validate=NAME)
    title = fields.String(required=True, validate=LINE)
    description = fields.String(required=True, validate=validate.Length(min=10, max=1000))
    arguments = fields.Dict(
        keys=fields.String(validate=NAME), values=fields.Nested(ArgumentSchema), load_default=dict, validate=validate.Length(max=20))
    messages = fields.List(fields.Nested(MessageSchema), required=True, validate=validate.Length(min=1, max=20))


class DeclaredPrompt(Prompt):
    """Fills in the blanks of its file."""

    def __init__(self, path: Path, facts: Mapping[str, Any], texts: Sequence[tuple[str, Placeholders]], lists: Mapping[str, Sequence[str]]) -> None:
        self.name, self.title, self.description = facts["name"], facts["title"], " ".join(facts["description"].split())
        self.declared_in = str(path)
        self.arguments = tuple(
            PromptArgument(name, given["description"], given["required"], given.get("title")) for name, given in facts["arguments"].items())
        self._arguments = facts["arguments"]
        self._texts = texts
        self._values = {name: given.get("values") or lists.get(given.get("values_from", ""), ()) for name, given in facts["arguments"].items()}

    @property
    def completes(self) -> bool:  # type: ignore[override] # of a file it is what the file says
        return any(self._values.values())

    def messages(self, call: CallContext, **arguments: Any) -> Sequence[Mapping[str, Any]]:  # noqa: ARG002 every prompt is given its call
        fence = Fence()
        given = {name: facts["default"] for name, facts in self._arguments.items() if "default" in facts}
        given |= {name: plain(value).strip() for name, value in arguments.items() if value.strip()}
        values = {name: fence.around(value, LONGEST_ARGUMENT) if self._arguments[name]["fenced"] else value for name, value in given.items()}
        fenced = {name for name in given if self._arguments[name]["fenced"]}
        return [say(role, (f"{fence.rule}\n\n" if text.names & fenced else "") + text.filled(values)) for role, text in self._texts]

    def complete(self, argument: str, typed: str, given: Mapping[str, str]) -> Sequence[str]:  # noqa: ARG002 the signature of all prompts
        return matching(self._values[argument], typed)


def declared_prompt(path: Path, lists: Mapping[str, Sequence[str]]) -> DeclaredPrompt:
    """The prompt of a file; `lists`: what `values_from` names. Raises ConfigurationError with every problem."""
    file = read(path, PromptFileSchema())
    problems: list[str] = []
    texts: list[tuple[str, Placeholders]] = []
    for number, message in enumerate(file.values["messages"]):
        try:
            texts.append((message["role"], Placeholders(message["text"])))
        except ValueError as error:
            problems.append(file.problem(("messages", number, "text"), str(error)))
    if not problems:
        problems.extend(_mismatches(file, [text.names for _, text in texts]))
    if problems:
        raise ConfigurationError(problems)
    return DeclaredPrompt(path, file.values, texts, lists)


def _mismatches(file: YamlFile, used: Sequence[frozenset[str]]) -> Iterator[str]:
    arguments = file.values["arguments"]
    for number, names in enumerate(used):
        for name in sorted(names - arguments.keys()):
            known = ", ".join(arguments) or "there are none"
            yield file.problem(("messages", number, "text"), f"{{{{ {name} }}}} is not one of the arguments: {known}.")
    for name in sorted(arguments.keys() - frozenset().union(*used)):
        yield file.problem(("arguments", name), f"is used nowhere. Write {{{{ {name} }}}} into a message, or take it out.")
