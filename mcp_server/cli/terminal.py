"""A call from the command line: its progress goes to stderr, and the person at the terminal answers its questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from mcp_server.cli.output import plain, remark
from mcp_server.errors import ToolError
from mcp_server.mcp.asking import Elicitation, Question

KINDS = {"integer": int, "number": float}
YES_OR_NO = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}


class Terminal:
    """What the call says and asks. `can_ask` is False when stdin was read for something else."""

    def __init__(self, *, can_ask: bool) -> None:
        self.capabilities: Mapping[str, Any] = {"elicitation": {}} if can_ask else {}
        self.log_level: str | None = "info"

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        if method == "notifications/progress":
            of = f" of {params['total']:g}" if "total" in params else ""
            remark(plain(params.get("message") or f"{params['progress']:g}{of}"))
        elif method == "notifications/message":
            remark(plain(f"{params['level']}: {params['data']}"))

    def ask(self, questions: Mapping[str, Question]) -> Mapping[str, Any]:
        """Raises ToolError for what a person at a terminal cannot answer."""
        if any(question.capability not in self.capabilities for question in questions.values()):
            needed = ", ".join(sorted({question.capability for question in questions.values()}))
            raise ToolError(f"This needs an answer from a client that can do: {needed}. Here nobody can give it.")
        return {key: _answered(question) for key, question in questions.items() if isinstance(question, Elicitation)}

    def hang_up(self) -> None:
        """There is no connection."""


def _answered(question: Elicitation) -> dict[str, Any]:
    """As MCP has it. The end of the input cancels."""
    remark(plain(question.message))
    fields = question.schema.get("properties", {})
    try:
        if not fields:
            return {"action": "accept", "content": {}} if click.confirm("Go on?", err=True) else {"action": "decline"}
        filled = {name: _field(name, schema, required=name in question.schema.get("required", ())) for name, schema in fields.items()}
    except click.Abort:
        return {"action": "cancel"}
    return {"action": "accept", "content": {name: value for name, value in filled.items() if value is not None}}


def _field(name: str, schema: Mapping[str, Any], *, required: bool) -> Any:
    """One field of the form; None for what is left empty."""
    choices = _choices(schema)
    text = plain(schema.get("title") or name) + (f" ({plain(schema['description'])})" if schema.get("description") else "")
    if choices:
        text += f" [{', '.join(map(plain, choices))}]"
    empty = "" if not required else None
    while True:
        given = click.prompt(text, default=_shown(schema.get("default"), empty), show_default="default" in schema, err=True)
        if given == "" and not required:
            return None
        try:
            return _read(str(given), schema, choices)
        except ValueError:
            remark("Choose among those in brackets." if choices else f"This must be of the type {schema.get('type')}.")


def _shown(default: Any, empty: str | None) -> str | None:
    if default is None:
        return empty
    return ", ".join(map(str, default)) if isinstance(default, list) else str(default).lower() if isinstance(default, bool) else str(default)


def _choices(schema: Mapping[str, Any]) -> list[str]:
    of = schema.get("items", schema)
    return list(of.get("enum") or [choice["const"] for choice in of.get("oneOf") or of.get("anyOf") or ()])


def _read(text: str, schema: Mapping[str, Any], choices: list[str]) -> Any:
    """Raises ValueError."""
    kind = schema.get("type")
    if kind == "array":
        members = [part.strip() for part in text.split(",") if part.strip()]
        if choices and not set(members) <= set(choices):
            raise ValueError(text)
        return members
    if kind == "boolean":
        if text.strip().lower() not in YES_OR_NO:
            raise ValueError(text)
        return YES_OR_NO[text.strip().lower()]
    if choices and text not in choices:
        raise ValueError(text)
    return KINDS[kind](text) if kind in KINDS else text
