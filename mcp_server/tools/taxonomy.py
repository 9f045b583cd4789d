"""The incident taxonomy that an operator edits: categories, what belongs to them, and who works on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from marshmallow import Schema, ValidationError, fields, validate

from config.settings import ConfigurationError

UNKNOWN = "unknown"
_ID = validate.Regexp(r"^[a-z0-9][a-z0-9_-]{0,39}$", error="must be lower case letters, digits, _ and -, at most 40 characters.")
_LINE = validate.Regexp(r"^[^\n\r]{1,200}$", error="must be one line of at most 200 characters.")


@dataclass(frozen=True, slots=True)
class Category:
    """`id` and `subcategories` are the values that ServiceNow stores; `description` is for the model."""

    id: str
    description: str
    subcategories: tuple[str, ...] = ()
    assignment_group: str | None = None


@dataclass(frozen=True, slots=True)
class Taxonomy:
    categories: tuple[Category, ...]

    def find(self, category_id: str) -> Category | None:
        return next((category for category in self.categories if category.id == category_id), None)

    @classmethod
    def load(cls, path: Path) -> Taxonomy:
        """Raises ConfigurationError with every problem: the file, the line where it can be told, the key."""
        try:
            text = path.read_text(encoding="utf-8")
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            repeated = [f"{path} line {line}: the key {key!r} is there twice." for key, line in _repeated_keys(node)]
            data = TaxonomySchema().load(yaml.safe_load(text) or {})
        except OSError as error:
            raise ConfigurationError([f"{path} cannot be read: {error.strerror}."]) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigurationError([f"{path} is not YAML: {' '.join(str(error).split())}"]) from error
        except ValidationError as error:
            raise ConfigurationError([f"{path}{_place(node, where)}: {what}" for where, what in _problems(error.messages)]) from error
        if repeated:
            raise ConfigurationError(repeated)
        return cls(tuple(
            Category(key, entry["description"], tuple(entry["subcategories"]), entry.get("assignment_group"))
            for key, entry in data["categories"].items()
        ))


class CategorySchema(Schema):
    description = fields.String(required=True, validate=_LINE)
    subcategories = fields.List(fields.String(validate=_ID), load_default=list, validate=validate.Length(max=20))
    assignment_group = fields.String(validate=_LINE)


class TaxonomySchema(Schema):
    categories = fields.Dict(
        keys=fields.String(validate=[_ID, validate.NoneOf([UNKNOWN], error="is what an unclear incident gets; it needs no entry.")]),
        values=fields.Nested(CategorySchema), required=True, validate=validate.Length(min=1, max=40),
    )


def _problems(messages: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            # For a mapping marshmallow says whether its key or its value is wrong, one level below the key.
            yield from _problems(inner, where if key in {"key", "value", "_schema"} else (*where, key))
    else:
        yield from ((where, str(message)) for message in messages)


def _place(node: yaml.Node | None, where: Sequence[Any]) -> str:
    """` line 12, categories.network.description`: the line of the innermost key that is there."""
    line = None
    for step in where:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            found = (node.value[step], node.value[step])
        else:
            found = None
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    path = ".".join(str(step) for step in where)
    return (f" line {line}" if line else "") + (f", {path}" if path else "")


def _repeated_keys(node: yaml.Node | None) -> Iterator[tuple[str, int]]:
    """YAML takes the last of two equal keys without a word."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.value, key.start_mark.line + 1
            seen.add(key.value)
            yield from _repeated_keys(value)
