from __future__ import annotations

from dataclasses import replace

import pytest

from mcp_server.mcp.shown import Icon
from mcp_server.mcp.tool import ToolRegistry
from tests.mcp.conftest import strict_json
from tests.mcp.test_stateless import META, PREFIX, VERSION

INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}


def test_servicenow_s_own_initialize_is_answered(client):
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":'
        b'{"protocolVersion":"2025-06-18","clientInfo":{"version":"1.0.0","name":"Servicenow"},"capabilities":{}}}'
    )
    assert client.answer(body, None) == {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {"listChanged": True}, "logging": {}},
            "serverInfo": {"name": "gateway", "title": "Gateway", "version": "1.2.3"},
            "instructions": "Call tools/list first.",
        },
    }


class TestIcon:
    """Of the server itself: shown where a client gets to know it, in the revisions that have icons, and with no other result."""

    ICON = Icon.svg(b"<svg/>")

    @pytest.fixture
    def offered(self):
        return {"icons": (self.ICON,)}

    @pytest.mark.parametrize(("version", "shown"), [("2025-11-25", True), ("2025-06-18", False), ("2024-11-05", False)])
    def test_initialize_shows_it_since_2025_11_25(self, client, version, shown):
        info = client.request("initialize", INITIALIZE | {"protocolVersion": version})["result"]["serverInfo"]
        assert info.get("icons") == ([self.ICON.definition] if shown else None)

    @pytest.mark.parametrize(("method", "shown"), [("server/discover", True), ("tools/list", False)])
    def test_discovery_shows_it(self, client, method, shown):
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": META}}
        result = strict_json(client.send(message, VERSION, {"Mcp-Method": method}).body)["result"]
        assert result["_meta"][f"{PREFIX}serverInfo"].get("icons") == ([self.ICON.definition] if shown else None)


@pytest.mark.requirement("MCP-028")
@pytest.mark.parametrize(
    ("asked", "answered"), [("2024-11-05", "2024-11-05"), ("2025-11-25", "2025-11-25"), ("2026-07-28", "2025-11-25"), ("9", "2025-06-18")]
)
def test_initialize_answers_a_version_that_is_served(client, asked, answered):
    assert client.request("initialize", INITIALIZE | {"protocolVersion": asked})["result"]["protocolVersion"] == answered


@pytest.mark.parametrize(
    "params",
    [
        {"protocolVersion": "2025-06-18"},
        INITIALIZE | {"capabilities": None},
        INITIALIZE | {"_meta": {"progressToken": 1}, "somethingNew": [1]},
        INITIALIZE | {"capabilities": {"roots": {"listChanged": True}, "sampling": {}, "tasks": {}}},
    ],
)
def test_initialize_takes_what_a_later_or_a_careless_client_sends(client, params):
    assert "result" in client.request("initialize", params)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"protocolVersion": 20250618}, "protocolVersion"),
        ({"protocolVersion": None}, "protocolVersion"),
        ({"capabilities": []}, "capabilities"),
        ({"clientInfo": "me"}, "clientInfo"),
    ],
)
def test_initialize_of_the_wrong_shape_is_refused_by_name(client, change, field):
    error = client.request("initialize", INITIALIZE | change)["error"]
    assert error["code"] == -32602
    assert error["message"].startswith(f"{field}: ")


def test_a_server_without_tools_advertises_none(server):
    assert replace(server, tools=ToolRegistry([], 10_000)).capabilities == {}
