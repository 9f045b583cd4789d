from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from marshmallow import Schema, fields, validate

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelTimeout, RateLimitExceeded, ToolError
from mcp_server.mcp import jsonrpc
from mcp_server.mcp.arguments import Choice, Flag, Number, Text, TextList, Whole
from mcp_server.mcp.asking import RequestStates
from mcp_server.mcp.changes import Changes
from mcp_server.mcp.dispatcher import Delivery, Dispatcher
from mcp_server.mcp.eras import era_of
from mcp_server.mcp.methods import METHODS
from mcp_server.mcp.server import Server
from mcp_server.mcp.sessions import Sessions
from mcp_server.mcp.switchboard import Switchboard
from mcp_server.mcp.tool import Tool, ToolRegistry
from mcp_server.principal import Principal
from mcp_server.storage.sqlite import SqliteState

OUTPUT_LIMIT = 10_000
KEY = b"k" * 32
BOTH = frozenset({"tools:read", "tools:execute"})


class EchoInput(Schema):
    text = Text(required=True, metadata={"description": "What comes back."})


class Echo(Tool):
    name, title, description = "echo", "Echo", "Gives back the text."
    annotations = {"readOnlyHint": True}  # noqa: RUF012 the base class says it is a ClassVar
    input_schema = EchoInput()

    def run(self, _, *, text):
        return text


class FindInput(Schema):
    query = Text(required=True, validate=validate.Length(1, 200))
    limit = Whole(load_default=5, validate=validate.Range(1, 20))
    score = Number(validate=validate.Range(0, 1, min_inclusive=False))
    exact = Flag()
    state = Choice(("open", "closed"))
    tags = TextList()


class FindOutput(Schema):
    found = fields.Dict()


class Find(Tool):
    name, title, description = "find", "Find", "Gives back what it understood, as an object."
    input_schema, output_schema = FindInput(), FindOutput()

    def run(self, _, **arguments):
        return {"found": arguments}


class NoInput(Schema):
    pass


class AnythingOutput(Schema):
    value = fields.Raw()


class Returns(Tool):
    """Returns or raises whatever it was made with."""

    title, description = "Returns", "Returns or raises a value."
    input_schema = NoInput()

    def __init__(self, name: str, value: Any, *, structured: bool = False, scope: str = "tools:execute") -> None:
        self.name, self.value, self.scope = name, value, scope
        self.output_schema = AnythingOutput() if structured else None

    def run(self, _):
        if isinstance(self.value, BaseException):
            raise self.value
        return {"value": self.value} if self.output_schema else self.value


class Counts(Tool):
    name, title, description = "count", "Count", "Counts its calls."
    input_schema = NoInput()

    def __init__(self) -> None:
        self.calls = 0

    def run(self, _):
        self.calls += 1
        return str(self.calls)


class Unexpected(list):
    """What was logged as unexpected: pairs of exception and method."""

    def __call__(self, error: Exception, method: str) -> None:
        self.append((error, method))


@pytest.fixture
def logged():
    return Unexpected()


@pytest.fixture
def counter():
    return Counts()


@pytest.fixture
def deadline():
    return Deadline.after(10, clock=lambda: 0.0)


@pytest.fixture
def tools(counter):
    return [
        Echo(),
        Find(),
        counter,
        Returns("refuses", ToolError("No incident INC1. Ask for its number.")),
        Returns("waits", ModelTimeout("The model did not answer in time. Try again.")),
        Returns("breaks", RuntimeError("secret: /etc/passwd")),
        Returns("limited", RateLimitExceeded("Too many calls.", retry_after=7)),
        Returns("long", "é" * 50_000),
        Returns("control", '\x00\x01\x1f\x7f\u2028\r\n"\\</script>'),
        Returns("surrogate", "a\ud800b \ud83d\ude00"),
        Returns("nan", [float("nan"), float("inf"), 1e308], structured=True),
        Returns("huge", {"n": [2**70, -(2**70), 10**400], 3: "\udfff", "\ud800": None}, structured=True),
        Returns("deep", json.loads("[" * 150 + "]" * 150), structured=True),
        Returns("object", object(), structured=True),
        Returns("admin_only", "yes", scope="tools:admin"),
    ]


@pytest.fixture
def offered():
    """What the server has beside its tools. A file of tests replaces it."""
    return {}


@pytest.fixture
def server(tools, offered, sessions, switchboard, clock):
    registry = ToolRegistry(tools, OUTPUT_LIMIT)
    states = RequestStates([KEY], clock)
    return Server(
        "gateway", "Gateway", "1.2.3", "Call tools/list first.", registry, sessions, switchboard, states, Changes(switchboard, clock),
        **offered)


@pytest.fixture
def clock():
    return lambda: 1_000_000.0


@pytest.fixture
def state(tmp_path):
    opened = SqliteState(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def sessions(state, clock):
    return Sessions([KEY], state.sessions, clock)


@pytest.fixture
def switchboard(state, clock):
    return Switchboard(state.journals, clock)


@pytest.fixture
def dispatcher(server, logged):
    return Dispatcher(METHODS, server, logged)


class Caller:
    """Sends bodies as a client would; `answer` is the JSON that comes back."""

    def __init__(self, dispatcher, deadline) -> None:
        self.dispatcher, self.deadline = dispatcher, deadline
        self.principal = caller()

    def send(self, body, version="2025-06-18", headers=MappingProxyType({}), **delivered):
        """`headers` besides the version; `delivered`: what else a delivery has."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        message = jsonrpc.parse(raw)
        sent = {"MCP-Protocol-Version": version, **headers}
        return self.dispatcher.dispatch(message, Delivery(self.principal, self.deadline, era_of(version, message), sent.get, **delivered))

    def answer(self, body, version="2025-06-18"):
        return strict_json(self.send(body, version).body)

    def request(self, method, params=None, *, id=1, version="2025-06-18"):
        message = {"jsonrpc": "2.0", "id": id, "method": method}
        return self.answer(message if params is None else message | {"params": params}, version)

    def call(self, tool, **arguments):
        return self.request("tools/call", {"name": tool, "arguments": arguments})


def strict_json(body):
    def refuse(constant):
        raise AssertionError(constant)

    value = json.loads(body.decode("utf-8"), parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # fails for a lone surrogate
    return value


def caller(*scopes):
    return Principal("client", "user", frozenset(scopes) or BOTH, 4e9, ("jti",))


@pytest.fixture
def client(dispatcher, deadline):
    return Caller(dispatcher, deadline)


@pytest.fixture
def principal_with():
    return caller
