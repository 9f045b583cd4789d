"""Which pages of which origins may call from a browser."""

from __future__ import annotations

import pytest

from tests.gateway import API_KEY, INSTANCE, ISSUER

PROGRAMS = ["/oauth/token", "/token", "/oauth/register", "/register", "/oauth/revoke", "/revoke", "/mcp", "/mcp/",
    "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-protected-resource/mcp"]
PAGES = ["/oauth/authorize", "/authorize", "/login", "/logout"]
FOREIGN = ["https://elsewhere.test", "null", f"{INSTANCE}.elsewhere.test", INSTANCE.replace("https", "http"), "https://xdev12345.service-now.com",
           "https://dev12345Xservice-now.com", f"{INSTANCE}:8443"]


def preflight(gateway, path, origin):
    return gateway.send("OPTIONS", path, headers={
        "Origin": origin, "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, mcp-protocol-version"})


@pytest.mark.requirement("COR-001")
@pytest.mark.parametrize("path", PROGRAMS)
@pytest.mark.parametrize("origin", [INSTANCE, ISSUER])
def test_a_preflight_of_an_allowed_origin_is_answered_for_it(gateway, path, origin):
    response = preflight(gateway, path, origin)
    assert response.status_code in (200, 204)
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert "Origin" in response.headers["Vary"]
    assert {"authorization", "content-type", "mcp-protocol-version"} <= {
        name.strip().lower() for name in response.headers["Access-Control-Allow-Headers"].split(",")}
    assert ("GET" if "well-known" in path else "POST") in response.headers["Access-Control-Allow-Methods"]


@pytest.mark.requirement("COR-002")
@pytest.mark.requirement("COR-003")
@pytest.mark.parametrize("path", PROGRAMS)
def test_a_foreign_origin_gets_no_permission(gateway, path):
    for origin in FOREIGN:
        for response in (preflight(gateway, path, origin), gateway.get(path, headers={"Origin": origin}),
            gateway.post(path, headers={"Origin": origin})):
            assert "Access-Control-Allow-Origin" not in response.headers, origin
            assert "Access-Control-Allow-Credentials" not in response.headers, origin


@pytest.mark.requirement("COR-003")
@pytest.mark.parametrize("path", PROGRAMS + PAGES)
def test_there_is_never_a_wildcard_and_never_a_credential(gateway, path):
    for origin in (INSTANCE, ISSUER, "https://elsewhere.test", None):
        headers = {"Origin": origin} if origin else {}
        for response in (preflight(gateway, path, origin or ""), gateway.get(path, headers=headers), gateway.post(path, headers=headers)):
            assert response.headers.get("Access-Control-Allow-Origin") in (None, origin)
            assert response.headers.get("Access-Control-Allow-Origin") != "*"
            assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.requirement("COR-005")
@pytest.mark.parametrize("path", PAGES)
def test_pages_for_people_have_no_cors(gateway, path):
    for response in (preflight(gateway, path, INSTANCE), gateway.get(path, headers={"Origin": INSTANCE})):
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]


def test_with_no_origin_configured_but_our_own_nobody_else_is_let_in(open_gateway):
    gateway = open_gateway(SERVICENOW_INSTANCE=None)
    for path in PROGRAMS:
        assert "Access-Control-Allow-Origin" not in gateway.get(path, headers={"Origin": "https://elsewhere.test"}).headers
        assert gateway.get(path, headers={"Origin": ISSUER}).headers["Access-Control-Allow-Origin"] == ISSUER


@pytest.mark.parametrize("origin", [None, ISSUER, "https://elsewhere.test"])
def test_what_a_cache_may_keep_says_that_it_depends_on_the_origin(gateway, open_gateway, origin):
    for one in (gateway, open_gateway(SERVICENOW_INSTANCE=None)):
        response = one.get("/.well-known/oauth-authorization-server", headers={"Origin": origin} if origin else {})
        assert "max-age" in response.headers["Cache-Control"]
        assert "Origin" in response.headers["Vary"]


def test_a_page_may_read_the_challenge_and_the_request_id(gateway):
    for response in (gateway.mcp(headers={"Origin": INSTANCE}), gateway.mcp(headers={"Origin": INSTANCE, "X-API-Key": API_KEY})):
        exposed = response.headers["Access-Control-Expose-Headers"]
        assert "WWW-Authenticate" in exposed
        assert "X-Request-ID" in exposed
    assert "X-Request-ID" in gateway.post("/oauth/token", headers={"Origin": INSTANCE}).headers["Access-Control-Expose-Headers"]
