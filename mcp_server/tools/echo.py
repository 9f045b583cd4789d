"""The smallest tool: it shows that a call arrives and its answer gets back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from marshmallow import Schema, validate

from mcp_server.mcp.arguments import Text
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool


class EchoInput(Schema):
    message = Text(
        required=True, validate=validate.Length(max=10_000),
        metadata={"description": "The text to send back. At most 10000 characters."},
    )


class Echo(Tool):
    name = "echo"
    title = "Echo"
    description = (
        "Sends `message` back, character for character. Use it only to check that the connection to this server works. "
        "No model is asked and nothing is stored."
    )
    input_schema = EchoInput()
    annotations: ClassVar[Mapping[str, bool]] = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
    quick = True

    def run(self, call: CallContext, *, message: str) -> str:  # noqa: ARG002 - every tool is given its call
        return message
