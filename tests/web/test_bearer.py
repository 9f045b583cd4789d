"""Where a credential may stand, and where it counts for nothing."""

from __future__ import annotations

import base64

import pytest

from tests.gateway import API_KEY, ISSUER

ENCODED = base64.b64encode(f"anyone:{API_KEY}".encode()).decode()


def challenged(response):
    assert response.status_code == 401, response.text
    assert response.json["jsonrpc"] == "2.0"
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    return response.headers["WWW-Authenticate"]


def test_without_a_credential_the_challenge_names_metadata_and_scopes_and_no_error(gateway):
    challenge = challenged(gateway.mcp())
    assert f'resource_metadata="{ISSUER}/.well-known/oauth-protected-resource/mcp"' in challenge
    assert 'scope="tools:read tools:execute"' in challenge
    assert "error=" not in challenge


@pytest.mark.parametrize("headers", [
    {"Authorization": f"Bearer {API_KEY}"}, {"Authorization": f"bearer {API_KEY}"}, {"Authorization": f"ApiKey {API_KEY}"},
    {"Authorization": f"APIKEY {API_KEY}"},
    {"Authorization": API_KEY}, {"X-API-Key": API_KEY}, {"api-key": API_KEY}, {"apikey": API_KEY}, {"Authorization": f"Basic {ENCODED}"}])
def test_the_api_key_is_accepted_in_every_form_that_servicenow_sends(gateway, headers):
    response = gateway.mcp(headers=headers)
    assert response.status_code == 200
    assert response.json["result"]["tools"]


@pytest.mark.parametrize("headers", [
    {"Authorization": f"Bearer {API_KEY}x"}, {"Authorization": f"Bearer {API_KEY[:-1]}"}, {"Authorization": f"ApiKey {API_KEY.upper()}"},
    {"Authorization": ""},
    {"Authorization": f"Token {API_KEY}"}, {"Authorization": f" {API_KEY}"}, {"Authorization": f"Bearer {API_KEY} "}, {"X-API-Key": ""},
    {"X-API-Key": "é"},
    {"X-API-Key": f"Bearer {API_KEY}"}, {"api-key": "\xff"}, {"apikey": API_KEY + ",x"}, {"Authorization": "Basic x"},
    {"Authorization": "Basic YWJj"},
    {"Authorization": "Basic " + base64.b64encode(API_KEY.encode()).decode()}, {"Authorization": f"Basic {ENCODED} "},
    {"Authorization": "Basic //79"},
    {"Authorization": f"{API_KEY}:{API_KEY}"}, {"Authorization": "ApiKey"}, {"Authorization": "Bearer"}, {"Authorization": "x" * 100_000},
    {"Authorization": "Bearer x", "X-API-Key": API_KEY}])
def test_a_key_that_is_nearly_right_is_refused(gateway, headers):
    assert 'error="invalid_token"' in challenged(gateway.mcp(headers=headers))


def test_without_a_configured_key_no_key_is_right(open_gateway):
    gateway = open_gateway(MCP_API_KEY=None)
    for key in (API_KEY, "", "None", "null"):
        challenged(gateway.mcp(headers={"X-API-Key": key}))
        challenged(gateway.mcp(headers={"Authorization": f"Bearer {key}"}))


@pytest.mark.requirement("BRR-006")
@pytest.mark.parametrize("form", ["Basic {}", "Token {}", "JWT {}", "DPoP {}", "{}", "Bearer{}", "Bearer\u00a0{}", "Bearer  {}", "Bearer\t{}",
    "Bearer: {}", "Bearer={}",
                                  "ApiKey {}", "OAuth {}", "Bearer {} extra", "\u00a0Bearer {}", "Bearer,{}"])
def test_an_access_token_stands_behind_bearer_and_one_blank(gateway, flow, form):
    token = flow()["access_token"]
    challenged(gateway.mcp(headers={"Authorization": form.format(token)}))
    for good in ("Bearer {}", "bearer {}", "BEARER {}"):
        assert gateway.mcp(headers={"Authorization": good.format(token)}).status_code == 200


@pytest.mark.requirement("BRR-007")
def test_two_authorization_headers_are_refused_whichever_is_good(gateway, flow):
    token = flow()["access_token"]
    for first, second in ((token, "x"), ("x", token), (token, token), (token, ""), (token, f"{token}x")):
        joined = f"Bearer {first},Bearer {second}"  # as a server hands them on
        challenged(gateway.mcp(headers={"Authorization": joined}))
        challenged(gateway.mcp(headers={"Authorization": joined.replace(",", ", ")}))


@pytest.mark.requirement("BRR-024")
@pytest.mark.parametrize("header", ["Cookie", "X-Access-Token", "Proxy-Authorization", "X-Authorization", "X-Auth-Token", "X-Forwarded-Authorization",
    "Access-Token",
                                    "Authentication", "X-Amz-Security-Token", "Sec-WebSocket-Protocol"])
def test_a_token_elsewhere_counts_for_nothing(gateway, flow, header):
    token = flow()["access_token"]
    for value in (token, f"Bearer {token}", f"access_token={token}", f"Authorization={token}; access_token={token}"):
        challenged(gateway.mcp(headers={header: value}))


@pytest.mark.requirement("BRR-029")
@pytest.mark.parametrize("headers", [
    {"X-Forwarded-User": "ada"}, {"X-Remote-User": "ada"}, {"Cf-Access-Authenticated-User-Email": "ada@acme.test"},
    {"Cf-Access-Jwt-Assertion": "a.b.c"},
    {"X-Original-URL": "/health"}, {"X-Rewrite-URL": "/health"}, {"X-HTTP-Method-Override": "GET"}, {"X-Forwarded-Client-Cert": "x"},
    {"X-Authenticated-Userid": "1"}, {"X-Forwarded-For": "127.0.0.1"}, {"Host": "localhost"}])
def test_a_header_of_a_proxy_is_no_credential(gateway, headers):
    challenged(gateway.mcp(headers=headers))


@pytest.mark.parametrize("name", ["REMOTE_USER", "AUTH_TYPE"])
def test_what_a_server_could_set_is_no_credential(gateway, name):
    challenged(gateway.mcp(environ_overrides={name: "ada"}))


def test_a_browsers_session_opens_no_tools(gateway, browser):
    browser.sign_in()
    response = browser.http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, base_url=ISSUER)
    challenged(response)
