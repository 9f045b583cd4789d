"""The tools that the conformance suite calls: what comes back, what is told meanwhile, and what the lists show.

Names and texts are the suite's; where it says what a tool has to do, it does no more.
"""

from __future__ import annotations

import base64
import json
import time
from functools import cached_property

from marshmallow import INCLUDE, Schema

from mcp_server.errors import ToolError
from mcp_server.mcp.arguments import Text
from mcp_server.mcp.tool import Blocks, Tool

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = base64.b64encode(
    b"RIFF" + (36).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little") + b"\1\0\1\0" + (8000).to_bytes(4, "little") * 2
    + b"\1\0\x08\0data\0\0\0\0").decode()
A_MOMENT = 0.05
"""Seconds between two messages, as the suite asks for."""


class NoInput(Schema):
    pass


class Fixture(Tool):
    """A tool of the suite: its name is all that is known of it."""

    input_schema = NoInput()

    @property
    def title(self):
        return self.name

    @property
    def description(self):
        return f"A fixture of the conformance suite: {self.name}."


class Shows(Fixture):
    """Always gives back the same blocks."""

    def __init__(self, name, *blocks):
        self.name, self._blocks = name, blocks

    def run(self, _):
        return Blocks(list(self._blocks))


def text(told):
    return {"type": "text", "text": told}


IMAGE = {"type": "image", "data": PNG, "mimeType": "image/png"}
AUDIO = {"type": "audio", "data": WAV, "mimeType": "audio/wav"}


def embedded(uri, mime_type, content):
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": content}}


class Refuses(Fixture):
    name = "test_error_handling"

    def run(self, _):
        raise ToolError("This tool intentionally returns an error for testing")


class ReportsProgress(Fixture):
    name = "test_tool_with_progress"

    def run(self, call):
        for done in (0, 50, 100):
            call.progress(done, 100, f"Completed step {done} of 100")
            time.sleep(A_MOMENT)
        return "Done."


class Logs(Fixture):
    def __init__(self, name, *lines):
        self.name, self._lines = name, lines

    def run(self, call):
        for line in self._lines:
            call.log("info", line)
            time.sleep(A_MOMENT)
        return "Done."


class HangsUp(Fixture):
    """Ends the connection in the middle of the call; the client comes back for the rest."""

    name = "test_reconnection"

    def run(self, call):
        call.log("info", "Before the connection ends")
        call.conversation.hang_up()
        time.sleep(A_MOMENT)
        call.log("info", "After the connection has ended")
        return "Reconnection test completed"


class RegionInput(Schema):
    region = Text(metadata={"description": "Repeated in the header Mcp-Param-Region.", "x-mcp-header": "Region"})


class HasHeader(Fixture):
    name = "test_x_mcp_header"
    input_schema = RegionInput()

    def run(self, _, *, region=None):
        return f"region={region}"


class AnyInput(Schema):
    class Meta:
        unknown = INCLUDE


class KeepsKeywords(Fixture):
    """Its input schema has keywords that a marshmallow schema cannot say."""

    name = "json_schema_2020_12_tool"
    input_schema = AnyInput()

    @cached_property
    def definition(self):
        return {**super().definition, "inputSchema": JSON_SCHEMA}

    def run(self, _, **arguments):
        return json.dumps(arguments)


JSON_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {
        "$anchor": "addressDef", "type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {
        "name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}, "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"}, "email": {"type": "string"}},
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


class TriggersChange(Fixture):
    """Tells everybody that a list is another. `changes`: of the server, set once it is built."""

    changes = None

    def __init__(self, kind):
        self.name, self._list = f"test_trigger_{kind}_change", f"{kind}sListChanged"

    def run(self, _):
        self.changes.list_changed(self._list)
        return "Told."


TOOLS = (
    Shows("test_simple_text", text("This is a simple text response for testing.")),
    Shows("test_image_content", IMAGE),
    Shows("test_audio_content", AUDIO),
    Shows("test_embedded_resource", embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")),
    Shows(
        "test_multiple_content_types", text("Multiple content types test:"), IMAGE,
        embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')),
    Refuses(),
    ReportsProgress(),
    Logs("test_tool_with_logging", "Tool execution started", "Tool processing data", "Tool execution completed"),
    Logs("test_logging_tool", "A line for those who asked for it"),
    HangsUp(),
    HasHeader(),
    KeepsKeywords(),
)
