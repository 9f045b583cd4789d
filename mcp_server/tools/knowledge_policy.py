"""`config/knowledge.yaml`: whom of the callers a restriction of ServiceNow's means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from mcp_server.knowledge.access import Labels, Policy
from mcp_server.knowledge.documents import EVERYBODY, KINDS

from . import yaml_file

NAMES = fields.String(validate=validate.Length(min=1, max=200))


class ReadersSchema(Schema):
    everybody = fields.Boolean(load_default=False)
    nobody = fields.Boolean(load_default=False)
    clients = fields.List(NAMES, load_default=list)
    subjects = fields.List(NAMES, load_default=list)
    scopes = fields.List(NAMES, load_default=list)

    @validates_schema
    def _says_one_thing(self, data: dict[str, Any], **_: Any) -> None:
        said = [data.get("everybody"), data.get("nobody"), any(data.get(name) for name in ("clients", "subjects", "scopes"))]
        if sum(map(bool, said)) != 1:
            raise ValidationError("Say `everybody: true`, `nobody: true`, or list clients, subjects or scopes.")


class PolicySchema(Schema):
    knowledge_bases = fields.Dict(keys=NAMES, values=fields.Nested(ReadersSchema), allow_none=True)
    user_criteria = fields.Dict(keys=NAMES, values=fields.Nested(ReadersSchema), allow_none=True)
    roles = fields.Dict(keys=NAMES, values=fields.Nested(ReadersSchema), allow_none=True)
    kinds = fields.Dict(keys=fields.String(validate=validate.OneOf(KINDS)), values=fields.Nested(ReadersSchema), allow_none=True)


def read_policy(path: Path) -> Policy:
    """Without the file nothing is mapped. Raises ConfigurationError with every problem, by line and key."""
    if not path.exists():
        return Policy()
    values = yaml_file.read(path, PolicySchema()).values
    return Policy(**{name: {key.casefold(): _labels(said) for key, said in (values.get(name) or {}).items()} for name in PolicySchema().fields})


def _labels(said: Mapping[str, Any]) -> Labels:
    if said["everybody"]:
        return frozenset({EVERYBODY})
    lists = (("clients", "client"), ("subjects", "subject"), ("scopes", "scope"))
    return frozenset(f"{label}:{name}" for names, label in lists for name in said[names])
