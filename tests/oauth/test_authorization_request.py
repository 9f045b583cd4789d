"""Bad authorization requests: an error page before client and redirect URI are known to be good, a redirected error after."""

from __future__ import annotations

import pytest

from tests.gateway import FORM, INSTANCE, ISSUER, REDIRECT_URI, VERIFIER, ClientApplication, canary, challenge_of, query_of

CLIENT_IDS = ["nope", "../../etc/passwd", "' OR 1=1 --", '{"$ne":null}', "%00", "x" * 3_000, "https://127.0.0.1/client.json", "http://2130706433/",
              "https://127.0.0.1.nip.io/c", "https://x@127.0.0.1/c", "https://[::ffff:127.0.0.1]/c", "https://localhost/c"]


@pytest.mark.requirement("AUT-002")
@pytest.mark.requirement("AUT-003")
@pytest.mark.requirement("CIM-002")
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
@pytest.mark.parametrize("client_id", [*CLIENT_IDS, "x" * 5_000, "nul\0", "é", "", None])
def test_an_unknown_client_is_told_so_and_redirected_nowhere(gateway, client, client_id, accept):
    response = gateway.authorize(client.asks(client_id=client_id), headers={"Accept": accept})
    assert response.status_code == 400
    assert "Location" not in response.headers
    assert ("text/html" in response.content_type) == (accept == "text/html")


@pytest.mark.requirement("AUT-007")
@pytest.mark.parametrize("redirect_uri", [
    f"{REDIRECT_URI}/", f"{REDIRECT_URI}?a=b", f"{REDIRECT_URI}#", f"{REDIRECT_URI}%20", f"{REDIRECT_URI} ", f" {REDIRECT_URI}", REDIRECT_URI.upper(),
    REDIRECT_URI.replace("https", "http"), REDIRECT_URI.replace("https", "HTTPS"), REDIRECT_URI.replace("service-now.com", "service-now.com:443"),
    REDIRECT_URI.replace("service-now.com", "service-now.com.elsewhere.test"), REDIRECT_URI.replace("dev", "user@dev"),
    f"{INSTANCE}/./oauth_redirect.do",
    f"{INSTANCE}//oauth_redirect.do", f"{INSTANCE}/x/../oauth_redirect.do", f"{INSTANCE}/..;/oauth_redirect.do", f"{INSTANCE}/oauth%5Fredirect.do",
    "https://elsewhere.test/", "javascript:alert(1)", "//elsewhere.test", "oauth_redirect.do", f'{INSTANCE}/"', f"{INSTANCE}/é", f"{REDIRECT_URI}\n",
    f"{REDIRECT_URI}\r\nX: y", f"{REDIRECT_URI}\0", f"{INSTANCE}/\uff4fauth_redirect.do", "http://[::1", "http://[", "https://", "\\", "x" * 3_000])
def test_a_redirect_uri_that_is_not_the_registered_one_gets_nothing(gateway, client, redirect_uri):
    response = gateway.authorize(client.asks(redirect_uri=redirect_uri))
    assert (response.status_code, response.json["error"]) == (400, "invalid_request")
    assert "Location" not in response.headers


@pytest.mark.requirement("AUT-007")
@pytest.mark.parametrize(("registered", "requested", "good"), [
    ("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback", True),
    ("http://127.0.0.1:3000/callback", "http://127.0.0.1:51004/callback", True),
    ("http://127.0.0.1:3000/callback", "http://127.0.0.1/callback", True),
    ("http://localhost/callback?a=b", "http://localhost:80/callback?a=b", True),
    ("http://[::1]/callback", "http://[::1]:51004/callback", True),
    ("http://127.0.0.1/callback", "http://127.0.0.1:51004/other", False),
    ("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback?a=b", False),
    ("http://127.0.0.1/callback", "http://localhost:51004/callback", False),
    ("http://127.0.0.1/callback", "http://127.0.0.2:51004/callback", False),
    ("http://127.0.0.1/callback", "https://127.0.0.1:51004/callback", False),
    ("http://127.0.0.1/callback", "http://127.0.0.1.elsewhere.test:51004/callback", False),
    ("http://127.0.0.1/callback", "http://127.0.0.1:51004@elsewhere.test/callback", False),
    ("http://127.0.0.1/callback", "http://a@127.0.0.1:51004/callback", False),
    ("http://127.0.0.1/callback", "http://127.0.0.1:51004\\@elsewhere.test/callback", False),
    ("http://127.0.0.1/callback", "http://127.0.0.1:/callback", False),
    ("http://127.0.0.1/callback", "http://127.0.0.1:999999/callback", False),
    ("http://127.0.0.1/callback", "http://127.0.0.1:5a/callback", False),
    ("http://localhost/callback", "http://LOCALHOST:51004/callback", False),
    ("https://localhost/callback", "https://localhost:51004/callback", False),
])
def test_only_the_port_of_a_loopback_redirect_may_differ(gateway, registered, requested, good):
    client = gateway.register(redirect_uris=[registered], token_endpoint_auth_method="none")
    response = gateway.authorize(client.asks(redirect_uri=requested))
    assert response.status_code == (302 if good else 400)
    if good:
        code = gateway.code(client, redirect_uri=requested)
        assert gateway.token(client.redeems(code, redirect_uri=requested)).status_code == 200


@pytest.mark.requirement("AUT-006")
def test_without_a_redirect_uri_the_only_registered_one_is_taken_and_none_is_guessed(gateway, client):
    assert gateway.code(client, redirect_uri=None)
    two = gateway.register(redirect_uris=[REDIRECT_URI, f"{INSTANCE}/mcp_redirect.do"])
    response = gateway.authorize(two.asks(redirect_uri=None))
    assert (response.status_code, response.json["error"]) == (400, "invalid_request")
    assert "Location" not in response.headers


@pytest.mark.requirement("AUT-008")
@pytest.mark.requirement("AUT-010")
@pytest.mark.requirement("AUT-011")
@pytest.mark.requirement("AUT-012")
@pytest.mark.requirement("AUT-014")
@pytest.mark.requirement("AUT-015")
@pytest.mark.requirement("AUT-017")
@pytest.mark.requirement("AUT-023")
@pytest.mark.requirement("AUT-024")
@pytest.mark.requirement("AUT-025")
@pytest.mark.requirement("AUT-027")
@pytest.mark.requirement("AUT-028")
@pytest.mark.requirement("AUT-038")
@pytest.mark.parametrize(("change", "error"), [
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge": ""}, "invalid_request"),
    ({"code_challenge": "abc"}, "invalid_request"),
    ({"code_challenge": VERIFIER[:43] + "="}, "invalid_request"),
    ({"code_challenge": "/" * 43}, "invalid_request"),
    ({"code_challenge": "a" * 44}, "invalid_request"),
    ({"code_challenge": VERIFIER, "code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge": VERIFIER, "code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": ""}, "invalid_request"),
    ({"code_challenge_method": "S512"}, "invalid_request"),
    ({"code_challenge_method": "s256"}, "invalid_request"),
    ({"code_challenge_method": "none"}, "invalid_request"),
    ({"code_challenge_method": "S256 "}, "invalid_request"),
    ({"response_type": None}, "invalid_request"),
    ({"response_type": ""}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "id_token"}, "unsupported_response_type"),
    ({"response_type": "code token"}, "unsupported_response_type"),
    ({"response_type": "code id_token token"}, "unsupported_response_type"),
    ({"response_type": "none"}, "unsupported_response_type"),
    ({"response_type": "CODE"}, "unsupported_response_type"),
    ({"response_type": 'co"de'}, "unsupported_response_type"),
    ({"response_type": "code "}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"response_mode": "form_post"}, "invalid_request"),
    ({"response_mode": "web_message"}, "invalid_request"),
    ({"response_mode": "query.jwt"}, "invalid_request"),
    ({"response_mode": "x"}, "invalid_request"),
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "invalid_request"),
    ({"request_uri": "http://127.0.0.1:9/canary"}, "invalid_request"),
    ({"request_uri": "urn:x"}, "invalid_request"),
    ({"scope": "root"}, "invalid_scope"),
    ({"scope": "tools:read tools:admin"}, "invalid_scope"),
    ({"scope": 'x"y\\z'}, "invalid_scope"),
    ({"scope": "TOOLS:READ"}, "invalid_scope"),
    ({"resource": "https://elsewhere.test/mcp"}, "invalid_target"),
    ({"resource": f"{ISSUER}.elsewhere.test/mcp"}, "invalid_target"),
    ({"resource": f"{ISSUER}:8443/mcp"}, "invalid_target"),
    ({"resource": f"{ISSUER}/mcp2"}, "invalid_target"),
    ({"resource": f"{ISSUER}/MCP"}, "invalid_target"),
    ({"resource": f"{ISSUER}/mcp#"}, "invalid_target"),
    ({"resource": f"{ISSUER}/mcp#x"}, "invalid_target"),
    ({"resource": f"{ISSUER}/mcp?x"}, "invalid_target"),
    ({"resource": ISSUER.replace("://", "://me@") + "/mcp"}, "invalid_target"),
    ({"resource": ISSUER.replace("https", "http") + "/mcp"}, "invalid_target"),
    ({"resource": "mcp.acme.test/mcp"}, "invalid_target"),
    ({"resource": "/mcp"}, "invalid_target"),
    ({"resource": "x"}, "invalid_target"),
    ({"resource": "https://[::1"}, "invalid_target"),
    ({"resource": [f"{ISSUER}/mcp", "https://elsewhere.test/"]}, "invalid_target"),
    ({"prompt": "none"}, "login_required"),
    ({"prompt": "login none"}, "login_required"),
])
def test_an_error_is_redirected_with_state_and_issuer(gateway, client, change, error):
    response = gateway.authorize(client.asks(**change))
    assert response.status_code == 302
    assert response.location.startswith(f"{REDIRECT_URI}?")
    answer = query_of(response.location)
    assert (answer["error"], answer["state"], answer["iss"]) == (error, "st4te", ISSUER)
    assert "code" not in answer
    assert all(" " <= letter <= "~" and letter not in '"\\' for letter in answer["error_description"])


@pytest.mark.requirement("SSR-001")
@pytest.mark.requirement("CIM-002")
def test_no_url_in_a_request_is_fetched(gateway, client):
    with canary() as (url, asked):
        for change in ({"request_uri": f"{url}/request.jwt"}, {"request": f"{url}/x"}, {"client_id": f"{url}/client.json"},
            {"client_id": url.replace("http", "https")},
                       {"resource": f"{url}/mcp"}, {"redirect_uri": f"{url}/cb"}):
            assert gateway.authorize(client.asks(**change)).status_code in (302, 400)
    assert asked == []


def test_the_refusal_of_plain_names_the_field_of_servicenow(gateway, client):
    for change in ({"code_challenge": VERIFIER, "code_challenge_method": "plain"}, {"code_challenge": None, "code_challenge_method": None}):
        description = query_of(gateway.authorize(client.asks(**change)).location)["error_description"]
        assert "Public Client" in description
        assert "S256" in description


@pytest.mark.parametrize("resource", [
    None, "", ISSUER, f"{ISSUER}/", f"{ISSUER}/mcp", f"{ISSUER}/mcp/", "HTTPS://MCP.ACME.TEST/mcp", [f"{ISSUER}/mcp", ISSUER]])
def test_our_resource_may_be_written_in_several_ways_on_both_ways(gateway, client, resource):
    code = gateway.code(client, resource=resource)
    assert gateway.opens(gateway.token(client.redeems(code, resource=resource)).json["access_token"])


PARAMETERS = ["response_type", "client_id", "redirect_uri", "state", "scope", "code_challenge", "code_challenge_method", "unknown"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_given_twice_is_refused_without_a_redirect(gateway, client, name):
    asked = client.asks(unknown="x")
    response = gateway.authorize([*asked.items(), (name, asked[name])])
    assert (response.status_code, response.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("query", [
    b"%", b"%zz", b"client_id=%ff", b"client_id=\xff", b"&&&", b"=", b"client_id", b"client_id=%00", b"a=b&" * 60, b"scope=%C3%A9",
    b"response_type=code&client_id=x&redirect_uri=http://%0d%0aSet-Cookie:a=b"])
def test_a_query_that_cannot_be_read_is_refused(gateway, query):
    response = gateway.get("/oauth/authorize", query_string=query.decode("latin-1"))
    assert response.status_code == 400
    assert "Set-Cookie" not in response.headers


@pytest.mark.requirement("AUT-019")
@pytest.mark.parametrize("unknown", [{"nonce": "n"}, {"display": "popup"}, {"ui_locales": "de en"}, {"claims": "{}"}, {"audience": "x"},
    {"x": "y" * 500}])
def test_an_unknown_parameter_is_ignored(gateway, client, unknown):
    assert gateway.code(client, **unknown)


@pytest.mark.requirement("AUT-030")
def test_the_request_may_be_posted(gateway, client, browser):
    response = gateway.post("/oauth/authorize", data=client.asks(state="é & =", resource=f"{ISSUER}/mcp"))
    assert response.status_code == 303
    page = browser.consent_page(None, path=response.location)
    assert query_of(browser.decide(page).location)["state"] == "é & ="
    for content_type in ("application/json", "text/plain", ""):
        assert gateway.post("/oauth/authorize", data=b"{}", content_type=content_type).status_code == 415
    assert gateway.post("/oauth/authorize", data=b"%", content_type=FORM).status_code == 400


@pytest.mark.requirement("AUT-041")
@pytest.mark.parametrize("mode", ["consent", "auto"])
def test_head_yields_no_code(open_gateway, mode):
    gateway = open_gateway(AUTHORIZATION_MODE=mode)
    response = gateway.send("HEAD", "/oauth/authorize", query_string=gateway.register().asks())
    assert response.status_code in (200, 302)
    assert "code=" not in response.headers.get("Location", "").replace("code%3D", "")
    assert gateway.services.grants.all(gateway.clock()) == []


def test_a_client_that_is_not_registered_for_codes_gets_none(gateway):
    client = gateway.add_client(secret="s" * 32, grant_types=("client_credentials",))
    assert query_of(gateway.authorize(client.asks()).location)["error"] == "unauthorized_client"
    client = gateway.add_client(secret="s" * 32, response_types=())
    assert query_of(gateway.authorize(client.asks()).location)["error"] == "unauthorized_client"


def test_an_operators_client_may_have_a_scheme_of_its_own(gateway):
    client = gateway.add_client(redirect_uris=("cursor://anysphere.cursor/callback",))
    assert gateway.tokens(client)["scope"]
    assert gateway.authorize(ClientApplication(client.client_id, None, "cursor://elsewhere/callback").asks()).status_code == 400


def test_a_challenge_that_is_only_nearly_the_digest_of_the_verifier_does_not_do(gateway, client):
    challenge = challenge_of(VERIFIER)
    code = gateway.code(client, code_challenge=challenge[:-1] + ("A" if challenge[-1] != "A" else "B"))
    assert gateway.token(client.redeems(code)).json["error"] == "invalid_grant"
