"""The inputs and outputs of a tool that is declared in YAML: one row per type, from what an operator writes to the field that checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from mcp_server.llm.untrusted import MOST_CHARACTERS
from mcp_server.mcp.arguments import Choice, Flag, Number, Text, TextList, Whole

LONGEST_TEXT = 100_000
MOST_ITEMS = 100
NAME = validate.Regexp(r"^[a-z][a-z0-9_]{0,49}$", error="must be lower case letters, digits and _, at most 50 characters, and begin with a letter.")
LINE = validate.Regexp(r"^[^\n\r]{1,300}$", error="must be one line of at most 300 characters.")

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FieldType:
    """`limits`: the keys that bound a value. `free`: its value is text that somebody else wrote."""

    make: Callable[[Facts, dict[str, Any]], fields.Field[Any]]
    limits: frozenset[str] = frozenset()
    free: bool = False


def _text(_: Facts, common: dict[str, Any]) -> fields.Field[Any]:
    """Of a longer text the middle is left out, so that a long record is no error."""
    shortest = 1 if common.get("required") else 0
    return Text(validate=validate.Length(min=shortest, max=LONGEST_TEXT), **common)


def _range(facts: Facts) -> dict[str, Any]:
    bounds: dict[str, Any] = {name: int(facts[name]) if facts[name].is_integer() else facts[name] for name in ("min", "max") if name in facts}
    return {"validate": validate.Range(**bounds)} if bounds else {}


TYPES: dict[str, FieldType] = {
    "text": FieldType(_text, frozenset({"max_characters"}), free=True),
    "whole": FieldType(lambda facts, common: Whole(**_range(facts), **common), frozenset({"min", "max"})),
    "number": FieldType(lambda facts, common: Number(**_range(facts), **common), frozenset({"min", "max"})),
    "flag": FieldType(lambda _, common: Flag(**common)),
    "choice": FieldType(lambda facts, common: Choice(tuple(facts["values"]), **common), frozenset({"values"})),
    "list": FieldType(
        lambda facts, common: TextList(validate=validate.Length(max=facts.get("max_items") or MOST_ITEMS), **common),
        frozenset({"max_items", "max_characters"}), free=True),
}
LIMITS = frozenset().union(*(kind.limits for kind in TYPES.values()))


class FieldSchema(Schema):
    """What an operator writes of one input or output."""

    type = fields.String(required=True, validate=validate.OneOf(list(TYPES), error="must be one of: {choices}."))
    description = fields.String(required=True, validate=LINE)
    required = fields.Boolean(truthy={True}, falsy={False})
    default = fields.Raw()
    values = fields.List(fields.String(validate=LINE), validate=validate.Length(min=1, max=100))
    min = fields.Float()
    max = fields.Float()
    max_characters = fields.Integer(strict=True, validate=validate.Range(1, LONGEST_TEXT))
    max_items = fields.Integer(strict=True, validate=validate.Range(1, MOST_ITEMS))

    @validates_schema(skip_on_field_errors=True)
    def check(self, facts: dict[str, Any], **_: Any) -> None:
        kind = facts["type"]
        if foreign := sorted(LIMITS & facts.keys() - TYPES[kind].limits):
            raise ValidationError({name: [f"does not go with the type {kind}."] for name in foreign})
        if kind == "choice" and "values" not in facts:
            raise ValidationError({"values": ["A choice needs the list of its values."]})
        if "min" in facts and "max" in facts and facts["min"] > facts["max"]:
            raise ValidationError({"max": ["is less than min."]})
        if "default" in facts:
            self._check_default(facts)

    def _check_default(self, facts: dict[str, Any]) -> None:
        if facts.get("required"):
            raise ValidationError({"default": ["What has a default is not required."]})
        try:
            TYPES[facts["type"]].make(facts, {}).deserialize(facts["default"])
        except ValidationError as error:
            raise ValidationError({"default": error.messages}) from error


class OutputFieldSchema(FieldSchema):
    class Meta:
        exclude = ("default",)


def input_schema(inputs: Mapping[str, Facts]) -> Schema:
    """What checks the arguments. An input is left out at will, unless it is `required`."""
    return Schema.from_dict({name: _input(facts) for name, facts in inputs.items()})()


def output_schema(outputs: Mapping[str, Facts]) -> Schema:
    """What checks the model's answer, and what the tool answers with. A member is always there, unless `required: false`."""
    return Schema.from_dict({name: _output(facts) for name, facts in outputs.items()})()


def most_read(facts: Facts) -> int:
    """Characters of a free text that the model gets to read."""
    most: int = facts.get("max_characters") or MOST_CHARACTERS
    return most


def _input(facts: Facts) -> fields.Field[Any]:
    kind, description = TYPES[facts["type"]], facts["description"]
    if kind.free:
        description += f" At most {most_read(facts)} characters are read; of more the middle is left out."
    common: dict[str, Any] = {"metadata": {"description": description}}
    if facts.get("required"):
        common["required"] = True
    if "default" in facts:
        common["load_default"] = kind.make(facts, {}).deserialize(facts["default"])
    return kind.make(facts, common)


def _output(facts: Facts) -> fields.Field[Any]:
    common = {"required": facts.get("required", True), "metadata": {"description": facts["description"]}}
    if facts["type"] == "text":
        return Text(validate=validate.Length(max=most_read(facts)), **common)
    return TYPES[facts["type"]].make(facts, common)
