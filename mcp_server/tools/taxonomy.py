"""The incident taxonomy that an operator edits: categories, what belongs to them, and who works on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from marshmallow import Schema, fields, validate

from mcp_server.tools.yaml_file import read

UNKNOWN = "unknown"
MOST_CATEGORIES = 500
"""Of more than forty the model is shown the most likely."""
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
        data = read(path, TaxonomySchema()).values
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
        values=fields.Nested(CategorySchema), required=True, validate=validate.Length(min=1, max=MOST_CATEGORIES),
    )
