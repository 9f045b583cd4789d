"""/mcp as HTTP: paths, methods, Accept, Origin, and what may come without a token."""

from __future__ import annotations

import pytest

from tests.gateway import API_KEY, HOST, INSTANCE, ISSUER

KEY = {"X-API-Key": API_KEY}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize",
              "params": {"protocolVersion": "2025-06-18", "clientInfo": {"version": "1.0.0", "name": "Servicenow"}, "capabilities": {}}}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
BOTH = "application/json, text/event-stream"


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("accept", [None, "", "*/*", "application/json", BOTH, "application/json,text/event-stream,text/event-stream",
    "text/event-stream, application/json;q=0.1",
                                    "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "application/xml", "nonsense"])
def test_json_comes_back_whatever_is_accepted_and_however_the_path_ends(gateway, path, accept):
    response = gateway.mcp(headers={**KEY, **({"Accept": accept} if accept is not None else {})}, path=path)
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert response.json["result"]["tools"]


def test_a_client_that_reads_only_events_gets_one(gateway):
    response = gateway.mcp("ping", headers={**KEY, "Accept": "text/event-stream"})
    assert (response.status_code, response.mimetype) == (200, "text/event-stream")
    assert response.text == 'event: message\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n'


@pytest.mark.requirement("MCP-011")
def test_a_notification_is_accepted_without_a_body(gateway):
    response = gateway.mcp(INITIALIZED, headers=KEY)
    assert (response.status_code, response.data) == (202, b"")


@pytest.mark.requirement("MCP-021")
@pytest.mark.requirement("MCP-022")
@pytest.mark.requirement("HTP-010")
@pytest.mark.parametrize("headers", [{}, KEY])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "FOO", "get"])
def test_other_methods_than_post_are_refused(gateway, method, headers):
    response = gateway.send(method, "/mcp", headers={**headers, "X-Echo": "echo-me"})
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert "echo-me" not in response.text
    if method in ("GET", "DELETE"):
        assert response.json["jsonrpc"] == "2.0"


FOREIGN = ["https://elsewhere.test", "null", "file://", ISSUER.replace("https", "http"), f"{ISSUER}:8443", f"{ISSUER}.elsewhere.test",
    "https://elsewhere.test#" + ISSUER,
           ISSUER.upper(), f"{ISSUER}/", f"{ISSUER} ", "", "http://localhost", "http://127.0.0.1:8080", f"{INSTANCE}, https://elsewhere.test",
           f"https://x{INSTANCE[8:]}",
           "https://mcp_acme_test", "chrome-extension://x"]


@pytest.mark.requirement("MCP-016")
@pytest.mark.parametrize("headers", [KEY, {}])
@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_a_foreign_origin_is_refused_with_and_without_a_credential(gateway, origin, headers):
    response = gateway.mcp(INITIALIZE, headers={**headers, "Origin": origin})
    assert response.status_code == 403
    assert response.json["error"]["code"] == -32001
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.requirement("MCP-017")
@pytest.mark.parametrize("origin", [INSTANCE, ISSUER, "http://localhost:6274"])
def test_a_page_of_an_allowed_origin_is_served(open_gateway, origin):
    gateway = open_gateway(ALLOWED_ORIGINS="http://localhost:6274")
    response = gateway.mcp(headers={**KEY, "Origin": origin})
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == origin


LOCAL = "http://localhost:8080"


@pytest.mark.requirement("MCP-016")
@pytest.mark.parametrize("headers", [KEY, {}])
@pytest.mark.parametrize("host", [
    "evil.example.com", "evil.example.com:8080", "localhost.evil.example.com", "localhost:8080@evil", "127.0.0.1.nip.io", HOST, "localhost:",
    "0.0.0.0:8080", "192.168.1.5:8080", "[::2]:8080", "localhost, evil.example.com", ""])
def test_a_local_server_is_not_reached_by_another_name(open_gateway, host, headers):
    response = open_gateway(OAUTH_ISSUER=LOCAL).mcp(INITIALIZE, headers=headers, base_url=LOCAL, environ_overrides={"HTTP_HOST": host})
    assert response.status_code == 403
    assert "OAUTH_ISSUER" in response.json["error"]["message"]


@pytest.mark.parametrize("issuer", [LOCAL, "http://127.0.0.1:8080"])
@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "LOCALHOST:3201", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080"])
def test_a_local_server_is_reached_by_each_name_of_this_machine(open_gateway, issuer, host):
    assert open_gateway(OAUTH_ISSUER=issuer).mcp(headers=KEY, base_url=LOCAL, environ_overrides={"HTTP_HOST": host}).status_code == 200


def test_a_public_server_leaves_its_name_to_the_proxy_in_front(gateway):
    assert gateway.mcp(headers=KEY, environ_overrides={"HTTP_HOST": "10.0.0.7:8080"}).status_code == 200


WITHOUT_A_TOKEN = [
    # mode, Accept, message, status
    ("auto", "application/json", INITIALIZE, 200), ("auto", None, INITIALIZE, 200), ("auto", None, PING, 200), ("auto", None, INITIALIZED, 202),
    ("auto", BOTH, INITIALIZE, 401), ("auto", "text/event-stream", INITIALIZE, 401), ("auto", BOTH, INITIALIZED, 401), ("auto", BOTH, PING, 401),
    ("always", BOTH, INITIALIZE, 200), ("always", BOTH, INITIALIZED, 202), ("always", None, PING, 200),
    ("never", None, INITIALIZE, 401), ("never", "application/json", PING, 401), ("never", None, INITIALIZED, 401),
]


@pytest.mark.parametrize(("mode", "accept", "message", "status"), WITHOUT_A_TOKEN)
def test_what_may_come_without_a_token(open_gateway, mode, accept, message, status):
    response = open_gateway(MCP_OPEN_INITIALIZE=mode).mcp(message, headers={"Accept": accept} if accept else {})
    assert response.status_code == status


@pytest.mark.requirement("BRR-025")
@pytest.mark.requirement("JSN-006")
@pytest.mark.parametrize("mode", ["auto", "always", "never"])
def test_nothing_else_comes_without_a_token(open_gateway, mode):
    gateway = open_gateway(MCP_OPEN_INITIALIZE=mode)
    others = [{"jsonrpc": "2.0", "id": 1, "method": method} for method in (
        "tools/list", "tools/call", "resources/list", "prompts/list", "completion/complete", "logging/setLevel", "server/discover", "Initialize",
        "initialize ", "", "x")]
    others += [[PING], [INITIALIZE], [INITIALIZE, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}], [], {},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
               {"jsonrpc": "2.0", "method": "notifications/cancelled"}, {"jsonrpc": "2.0", "method": "tools/call"}]
    for message in others:
        response = gateway.mcp(message)
        assert response.status_code == 401, message
        assert "result" not in response.json
    for body in (b"{", b"", b"null", b'{"jsonrpc":"2.0","id":1,"method":"initialize","method":"tools/list"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"ping"}'):
        response = gateway.mcp(None, json=None, data=body, content_type="application/json")
        assert response.status_code in (400, 401)
        assert "result" not in response.json


@pytest.mark.parametrize("credential", [{"Authorization": "Bearer x"}, {"X-API-Key": "x"}, {"Authorization": "Basic x"}])
def test_a_wrong_credential_is_refused_even_where_none_is_needed(gateway, credential):
    assert gateway.mcp(INITIALIZE, headers=credential).status_code == 401


@pytest.mark.requirement("MCP-025")
@pytest.mark.requirement("MCP-026")
@pytest.mark.parametrize("session_id", ["", "invented", "x" * 5_000, "é", "../../etc/passwd"])
def test_a_session_id_opens_nothing_and_hinders_nothing(gateway, session_id):
    assert gateway.mcp(headers={"Mcp-Session-Id": session_id}).status_code == 401
    response = gateway.mcp(headers={**KEY, "Mcp-Session-Id": session_id})
    assert response.status_code == 200
    assert "Mcp-Session-Id" not in response.headers


@pytest.mark.requirement("MCP-032")
def test_initialize_tells_a_name_and_our_own_version_and_no_more(gateway):
    result = gateway.mcp(INITIALIZE).json["result"]
    assert set(result) == {"protocolVersion", "capabilities", "serverInfo", "instructions"}
    text = str(result).lower()
    assert not [word for word in ("flask", "python", "gunicorn", "werkzeug", "redis", "sqlite", "authlib", "ollama") if word in text]


@pytest.mark.requirement("MCP-020")
@pytest.mark.parametrize(("version", "status"), [(None, 200), ("2024-11-05", 200), ("2025-11-25", 200), ("1999-01-01", 400), ("x" * 500, 400),
    ("é", 400), ("", 200)])
def test_the_version_header_is_checked(gateway, version, status):
    response = gateway.mcp("ping", headers={**KEY, **({"MCP-Protocol-Version": version} if version is not None else {})})
    assert response.status_code == status
    assert len(response.data) < 500


@pytest.mark.requirement("JSN-002")
def test_an_argument_of_almost_a_megabyte_is_served(gateway):
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "x" * 900_000}}}
    assert gateway.mcp(call, headers=KEY).status_code == 200


@pytest.mark.parametrize("path", ["/MCP", "/mcp/x", "/mcp.json", "/mcp%00", "/mcp/..", "/mcp;x", "/x/../mcp2", "/mcp%2f.."])
def test_other_paths_are_not_the_endpoint(gateway, path):
    assert gateway.mcp("ping", headers=KEY, path=path).status_code == 404


@pytest.mark.parametrize("path", ["//mcp", "/mcp//", "//login", "//oauth//authorize", "//elsewhere.test/%2e%2e", "//elsewhere.test//login/.."])
@pytest.mark.requirement("HTP-013")
def test_doubled_slashes_lead_nowhere_else(gateway, path):
    for host in (HOST, "elsewhere.test"):
        response = gateway.get("/", headers={"Host": host}, environ_overrides={"PATH_INFO": path})
        assert response.status_code in (200, 400, 404, 405)
        assert "Location" not in response.headers
