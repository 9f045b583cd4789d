"""Who gets a session of the handshake era, and what becomes of its id."""

from __future__ import annotations

import pytest

from tests.gateway import API_KEY, both_back_ends

KEY = {"X-API-Key": API_KEY}


def initialize(**capabilities):
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {"protocolVersion": "2025-06-18", "clientInfo": {"version": "1.0.0", "name": "a client"}, "capabilities": capabilities}}


def session_of(gateway, **capabilities):
    return gateway.mcp(initialize(**capabilities), headers=KEY).headers.get("Mcp-Session-Id")


def test_a_client_that_only_calls_tools_gets_no_session_unless_everybody_does(open_gateway):
    assert session_of(open_gateway()) is None
    assert session_of(open_gateway(), elicitation={}) is not None
    assert session_of(open_gateway(MCP_SESSIONS="always")) is not None


@both_back_ends
@pytest.mark.parametrize("capabilities", [{}, {"elicitation": {}}])
def test_a_session_that_its_client_ended_is_not_found_again(open_gateway, capabilities):
    gateway = open_gateway(MCP_SESSIONS="always")
    headers = {**KEY, "Mcp-Session-Id": session_of(gateway, **capabilities)}
    assert gateway.mcp(headers=headers).status_code == 200
    assert gateway.send("DELETE", "/mcp", headers=headers).status_code == 204
    assert open_gateway(MCP_SESSIONS="always").mcp(headers=headers).status_code == 404


@pytest.mark.parametrize(("capabilities", "status"), [({}, 200), ({"elicitation": {}}, 404)])
def test_only_a_client_that_can_be_asked_needs_a_session_that_is_young(open_gateway, clock, capabilities, status):
    gateway = open_gateway(MCP_SESSIONS="always")
    headers = {**KEY, "Mcp-Session-Id": session_of(gateway, **capabilities)}
    clock.advance(86_401)
    assert gateway.mcp(headers=headers).status_code == status


@pytest.mark.parametrize(("capabilities", "status"), [({}, 200), ({"elicitation": {}}, 404)])
def test_only_a_client_that_can_be_asked_needs_a_session_of_its_own(open_gateway, flow, capabilities, status):
    gateway = open_gateway(MCP_SESSIONS="always")
    headers = {"Mcp-Session-Id": session_of(gateway, **capabilities)}
    assert gateway.mcp(token=flow()["access_token"], headers=headers).status_code == status


def test_without_a_version_header_a_request_is_of_its_session_s_revision(gateway):
    batch, header = [{"jsonrpc": "2.0", "id": 1, "method": "ping"}], {"Mcp-Session-Id": session_of(gateway, elicitation={})}
    assert gateway.mcp(batch, headers=KEY).status_code == 200
    assert gateway.mcp(batch, headers=KEY | header).status_code == 400
    assert gateway.mcp(batch, headers=KEY | header | {"MCP-Protocol-Version": "2025-03-26"}).status_code == 200
