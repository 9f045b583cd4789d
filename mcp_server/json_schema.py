"""JSON Schema 2020-12 from the marshmallow schema that checks the data, so that no schema is written twice."""

from __future__ import annotations

import re
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields, validate

# Patterns that Python understands and ECMA-262, which the callers use, does not.
_NOT_PORTABLE = re.compile(r"\\[ZAzpP]|\(\?[Pa-zA-Z<]")


def _inline(_: type[Schema]) -> Any:
    """No name for a nested schema: apispec then writes it where it is used instead of a "$ref"."""
    return None


def json_schema(schema: Schema) -> dict[str, Any]:
    """Self-contained: no "$ref", unknown members refused. Raises ValueError for a pattern that callers cannot read."""
    plugin = MarshmallowPlugin(schema_name_resolver=_inline)
    APISpec("tools", "1", "3.1.0", plugins=[plugin])
    converter: Any = plugin.converter  # None until the plug-in has met its APISpec, the line above
    converter.add_attribute_function(_repairs)
    published: dict[str, Any] = converter.schema2jsonschema(schema)
    return {"type": "object", **published, "properties": published.get("properties", {}), "additionalProperties": False}


def _repairs(_: Any, field: fields.Field[Any], ret: dict[str, Any], **__: Any) -> dict[str, Any]:
    """What apispec 6 leaves out or gets wrong: exclusive ranges and patterns of Python's own."""
    repaired: dict[str, Any] = {}
    for validator in field.validators:
        if isinstance(validator, validate.Range):
            if validator.min is not None and not validator.min_inclusive:
                ret.pop("minimum", None)
                repaired["exclusiveMinimum"] = validator.min
            if validator.max is not None and not validator.max_inclusive:
                ret.pop("maximum", None)
                repaired["exclusiveMaximum"] = validator.max
        elif isinstance(validator, validate.Regexp) and _NOT_PORTABLE.search(str(validator.regex.pattern)):
            raise ValueError(f"{field.name}: the pattern {validator.regex.pattern!r} is not portable to ECMA-262")
    return repaired
