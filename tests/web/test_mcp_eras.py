"""Both eras on one URL, over HTTP."""

from __future__ import annotations

import pytest

from tests.gateway import API_KEY

KEY = {"X-API-Key": API_KEY}
PREFIX = "io.modelcontextprotocol/"
META = {f"{PREFIX}protocolVersion": "2026-07-28", f"{PREFIX}clientCapabilities": {}}
ECHO = {"name": "echo", "arguments": {"message": "hi"}}


def stateless(method="tools/call", params=ECHO, **headers):
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    sent = {**KEY, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": params.get("name", "")}
    return {"message": body, "headers": sent | headers}


def initialize(capabilities, version="2025-11-25"):
    params = {"protocolVersion": version, "capabilities": capabilities, "clientInfo": {"name": "c", "version": "1"}}
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}


@pytest.mark.requirement("HDR-013")
def test_one_url_serves_both_eras_one_after_the_other(gateway):
    for _ in range(2):
        assert gateway.mcp(**stateless()).json["result"]["resultType"] == "complete"
        answer = gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ECHO}, headers=KEY)
        assert answer.json["result"] == {"content": [{"type": "text", "text": "hi"}]}


@pytest.mark.requirement("HDR-007")
@pytest.mark.parametrize("written", [str.upper, str.lower, str.swapcase])
def test_the_names_of_headers_are_read_in_any_case(gateway, written):
    sent = stateless()
    sent["headers"] = {written(name): value for name, value in sent["headers"].items()}
    assert gateway.mcp(**sent).status_code == 200


@pytest.mark.requirement("HDR-015")
@pytest.mark.parametrize("headers", [{"Mcp-Method": "initialize"}, {"Mcp-Method": "ping", "MCP-Protocol-Version": "2026-07-28"}])
@pytest.mark.parametrize("params", [{}, {"_meta": META}])
def test_what_a_header_says_of_the_body_opens_nothing_without_a_token(gateway, headers, params):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params}
    response = gateway.mcp(body, headers={**headers, "Accept": "application/json"})
    assert response.status_code == 401
    assert "result" not in response.json


@pytest.mark.parametrize("message", [initialize({}), {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"_meta": META}}])
def test_the_open_initialize_is_the_handshakes_alone(gateway, message):
    response = gateway.mcp(message, headers={"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "initialize"})
    assert response.status_code in (400, 404)
    assert "result" not in response.json


def test_a_stateless_answer_begins_no_session_and_takes_none(gateway):
    session = gateway.mcp(initialize({"elicitation": {}}), headers=KEY).headers["Mcp-Session-Id"]
    response = gateway.mcp(**stateless(**{"Mcp-Session-Id": session}))
    assert response.status_code == 200
    assert "Mcp-Session-Id" not in response.headers


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("session", [None, "kept-from-somewhere"])
def test_without_a_session_there_is_nothing_but_post(gateway, method, session):
    headers = KEY | ({"Mcp-Session-Id": session} if session else {})
    response = gateway.send(method, "/mcp", headers=headers)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_session_of_the_handshake_is_nothing_to_the_stateless_revision(gateway, method):
    session = gateway.mcp(initialize({"elicitation": {}}), headers=KEY).headers["Mcp-Session-Id"]
    response = gateway.send(method, "/mcp", headers=KEY | {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2026-07-28"})
    assert response.status_code == 405


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.requirement("MCP-022")
def test_a_session_is_no_credential(gateway, method):
    session = gateway.mcp(initialize({"elicitation": {}}), headers=KEY).headers["Mcp-Session-Id"]
    assert gateway.send(method, "/mcp", headers={"Mcp-Session-Id": session}).status_code == 401
    assert gateway.mcp("tools/list", headers={"Mcp-Session-Id": session}).status_code == 401


@pytest.mark.requirement("MCP-025")
def test_a_session_of_another_principal_is_not_found(gateway, client):
    session = gateway.mcp(initialize({"elicitation": {}}), headers=KEY).headers["Mcp-Session-Id"]
    response = gateway.mcp("tools/list", gateway.tokens(client)["access_token"], headers={"Mcp-Session-Id": session})
    assert response.status_code == 404
    assert response.json["jsonrpc"] == "2.0"


def test_servicenow_gets_no_session_and_may_send_any(gateway):
    response = gateway.mcp(initialize({}, "2025-06-18"), headers=KEY)
    assert "Mcp-Session-Id" not in response.headers
    assert gateway.mcp("tools/list", headers=KEY | {"Mcp-Session-Id": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}).status_code == 200


def test_a_session_lives_through_a_restart_and_a_new_secret(open_gateway):
    first = open_gateway()
    session = first.mcp(initialize({"elicitation": {}}), headers=KEY).headers["Mcp-Session-Id"]
    second = open_gateway(JWT_SECRET="another-secret-of-32-characters-xx", JWT_SECRET_PREVIOUS=first.settings.jwt_secret)
    assert second.send("DELETE", "/mcp", headers=KEY | {"Mcp-Session-Id": session}).status_code == 204
    assert first.mcp("tools/list", headers=KEY | {"Mcp-Session-Id": session}).status_code == 404
