"""Marshmallow in, our error out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from marshmallow import Schema, ValidationError

from mcp_server.errors import GatewayError

MOST_PROBLEMS = 10
MOST_CHARACTERS = 120


def load(schema: Schema, data: Any, otherwise: type[GatewayError]) -> dict[str, Any]:
    """The data as `schema` reads it. Raises `otherwise` with every field that does not do, in words."""
    try:
        loaded: dict[str, Any] = schema.load(data)
    except ValidationError as error:
        raise otherwise(in_words(error)) from error
    return loaded


def in_words(error: ValidationError) -> str:
    """All field errors as one text: `message: Missing data for required field. limit: Must be …`. Long lists are cut openly."""
    problems = list(_flatten(error.messages, ""))
    shown = " ".join(problems[:MOST_PROBLEMS])
    rest = len(problems) - MOST_PROBLEMS
    return f"{shown} (and {rest} more)" if rest > 0 else shown


def _flatten(messages: Any, path: str) -> Iterator[str]:
    if isinstance(messages, dict):
        for key, value in messages.items():
            shown = str(key)[:MOST_CHARACTERS]
            yield from _flatten(value, path if key == "_schema" else f"{path}.{shown}" if path else shown)
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield f"{path}: {message}" if path else str(message)
