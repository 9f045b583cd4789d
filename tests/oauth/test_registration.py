"""What a client may say of itself when it registers (RFC 7591)."""

from __future__ import annotations

import pytest

from tests.gateway import BOTH_SCOPES, DCR_TOKEN, INSTANCE, REDIRECT_URI, canary

BEARER = {"Authorization": f"Bearer {DCR_TOKEN}"}
SECOND_REDIRECT_URI = f"{INSTANCE}/mcp_redirect.do"


@pytest.fixture
def register(gateway):
    return lambda body, **kwargs: gateway.post("/oauth/register", **{"json": body, "headers": BEARER, **kwargs})


@pytest.mark.requirement("REG-003")
def test_the_body_that_servicenow_sends_registers_a_client(register, registration, clock):
    response = register(registration(redirect_uris=[REDIRECT_URI, SECOND_REDIRECT_URI]))
    information = response.json
    assert (response.status_code, response.mimetype) == (201, "application/json")
    assert response.headers["Cache-Control"] == "no-store"
    assert information["redirect_uris"] == [REDIRECT_URI, SECOND_REDIRECT_URI]
    assert information["client_secret_expires_at"] == 0
    assert information["client_id_issued_at"] == int(clock())
    assert information["grant_types"] == ["authorization_code", "refresh_token"]
    assert information["scope"] == BOTH_SCOPES


@pytest.mark.requirement("REG-005")
def test_identifiers_and_secrets_are_long_and_never_the_same(register, registration):
    answers = [register(registration()).json for _ in range(5)]
    for name, characters in (("client_id", 32), ("client_secret", 43)):  # 128 bits in hexadecimal, 256 in base64
        values = {answer[name] for answer in answers}
        assert len(values) == 5
        assert all(len(value) >= characters for value in values)


@pytest.mark.requirement("REG-027")
def test_a_client_that_names_no_method_of_authentication_gets_no_secret(register, registration):
    information = register(registration(token_endpoint_auth_method="none")).json
    assert information["token_endpoint_auth_method"] == "none"
    assert not {"client_secret", "client_secret_expires_at"} & information.keys()


INVALID_REDIRECT_URIS = [
    f"{REDIRECT_URI}#",
    f"{REDIRECT_URI}#fragment",
    "http://dev12345.service-now.com/oauth_redirect.do",
    "https://elsewhere.test/callback",
    "https://dev12345.service-now.com.elsewhere.test/callback",
    "https://dev12345.service-now.com@elsewhere.test/callback",
    "https://good:secret@dev12345.service-now.com/callback",
    "http://localhost:80@elsewhere.test/callback",
    "http://localhost.elsewhere.test/callback",
    "http://127.0.0.1.elsewhere.test/callback",
    "http://127.1/callback",
    "http://2130706433/callback",
    "http://0x7f000001/callback",
    "http://[::ffff:127.0.0.1]/callback",
    "http://[::1/callback",
    "http://[::1]extra/callback",
    "https://*.service-now.com/callback",
    "https://dev12345.service-now.com/*",
    "https://dev12345.service-now.com\\@elsewhere.test/callback",
    "https://dev12345.service-now.com/call back",
    "https://dev12345.service-now.com/\r\nSet-Cookie: a=b",
    "https://dev12345.service-now.com/callback\n",
    "\thttps://dev12345.service-now.com/callback",
    "https://dev12345.service-now.com/\x00",
    'https://dev12345.service-now.com/"><script>',
    "https://dév12345.service-now.com/callback",
    "https://\uff44ev12345.service-now.com/callback",
    "https://dev12345.service-now.com:99999/callback",
    "https://dev12345.service-now.com:port/callback",
    "https:///callback",
    "https://",
    "//dev12345.service-now.com/callback",
    "/oauth_redirect.do",
    "dev12345.service-now.com",
    "javascript://dev12345.service-now.com/%0aalert(1)",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "cursor://anysphere.cursor/callback",
    "com.acme.app:/callback",
    "urn:ietf:wg:oauth:2.0:oob",
    "",
]


@pytest.mark.requirement("REG-007")
@pytest.mark.requirement("REG-009")
@pytest.mark.requirement("REG-010")
@pytest.mark.requirement("REG-011")
@pytest.mark.requirement("AUT-043")
def test_a_redirect_uri_that_could_lead_elsewhere_is_refused(gateway, register, registration):
    before = len(gateway.services.clients.all())
    for uri in INVALID_REDIRECT_URIS:
        for uris in ([uri], [REDIRECT_URI, uri]):
            response = register(registration(redirect_uris=uris))
            assert (response.status_code, response.json["error"]) == (400, "invalid_redirect_uri"), uri
    assert len(gateway.services.clients.all()) == before


@pytest.mark.parametrize("uri", [
    "http://localhost/callback", "http://localhost:33418/callback", "http://127.0.0.1:51004/", "http://[::1]:8080/cb?a=b", "https://localhost/cb",
    f"{INSTANCE}:443/oauth_redirect.do", f"{INSTANCE}/a(b)!~$&'+,;=:@%20/c?d=e&f[]=g"])
def test_loopback_and_the_instances_may_be_redirected_to(register, registration, uri):
    assert register(registration(redirect_uris=[uri])).json["redirect_uris"] == [uri]


@pytest.mark.requirement("REG-006")
@pytest.mark.parametrize("uris", [None, []])
def test_redirect_uris_are_needed_for_the_code_grant(register, registration, uris):
    response = register(registration(redirect_uris=uris))
    assert (response.status_code, response.json["error"]) == (400, "invalid_redirect_uri")


def test_the_refusal_of_a_host_names_the_setting_that_allows_it(register, registration):
    response = register(registration(redirect_uris=["https://vanity.acme.test/cb"]))
    assert "DCR_ALLOWED_REDIRECT_HOSTS" in response.json["error_description"]
    assert "vanity.acme.test" in response.json["error_description"]


def test_the_operator_decides_which_hosts_are_allowed(open_gateway, registration):
    gateway = open_gateway(DCR_ALLOWED_REDIRECT_HOSTS="vanity.acme.test,other.acme.test:8443")
    for uri, status in (("https://vanity.acme.test/cb", 201), ("https://other.acme.test:8443/cb", 201), ("https://other.acme.test/cb", 400),
                        (REDIRECT_URI, 400), ("http://localhost/cb", 400), ("https://sub.vanity.acme.test/cb", 400)):
        assert gateway.post("/register", json=registration(redirect_uris=[uri]), headers=BEARER).status_code == status, uri


@pytest.mark.requirement("REG-016")
@pytest.mark.requirement("REG-020")
@pytest.mark.requirement("REG-022")
@pytest.mark.parametrize(("change", "error"), [
    ({"redirect_uris": "https://dev12345.service-now.com/cb"}, "invalid_client_metadata"),
    ({"redirect_uris": 5}, "invalid_client_metadata"),
    ({"redirect_uris": [5]}, "invalid_client_metadata"),
    ({"redirect_uris": [None]}, "invalid_client_metadata"),
    ({"redirect_uris": [[REDIRECT_URI]]}, "invalid_client_metadata"),
    ({"redirect_uris": {"0": REDIRECT_URI}}, "invalid_client_metadata"),
    ({"redirect_uris": [REDIRECT_URI + "x" * 3_000]}, "invalid_client_metadata"),
    ({"redirect_uris": [f"{REDIRECT_URI}?{number}" for number in range(500)]}, "invalid_client_metadata"),
    ({"grant_types": 5}, "invalid_client_metadata"),
    ({"grant_types": [5]}, "invalid_client_metadata"),
    ({"grant_types": "authorization_code"}, "invalid_client_metadata"),
    ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
    ({"grant_types": ["password"]}, "invalid_client_metadata"),
    ({"grant_types": ["refresh_token"]}, "invalid_client_metadata"),
    ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
    ({"response_types": 5}, "invalid_client_metadata"),
    ({"response_types": [5]}, "invalid_client_metadata"),
    ({"response_types": ["token"]}, "invalid_client_metadata"),
    ({"response_types": ["code token"]}, "invalid_client_metadata"),
    ({"token_endpoint_auth_method": "foo"}, "invalid_client_metadata"),
    ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
    ({"token_endpoint_auth_method": ["none"]}, "invalid_client_metadata"),
    ({"token_endpoint_auth_method": 5}, "invalid_client_metadata"),
    ({"scope": 5}, "invalid_client_metadata"),
    ({"scope": ["tools:read"]}, "invalid_client_metadata"),
    ({"scope": "root"}, "invalid_scope"),
    ({"scope": "tools:read admin"}, "invalid_scope"),
    ({"client_name": {"a": 1}}, "invalid_client_metadata"),
    ({"client_name": "x" * 90_000}, "invalid_client_metadata"),
    ({"client_name": "line\nbreak"}, "invalid_client_metadata"),
    ({"client_name": "line break\n"}, "invalid_client_metadata"),
    ({"client_name": "escape\x1b[2J"}, "invalid_client_metadata"),
    ({"client_uri": 5}, "invalid_client_metadata"),
    ({"client_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
    ({"client_uri": f"{INSTANCE}\n"}, "invalid_client_metadata"),
    ({"logo_uri": "javascript://x/%0aalert(1)"}, "invalid_client_metadata"),
    ({"tos_uri": "data:text/html,x"}, "invalid_client_metadata"),
    ({"policy_uri": "vbscript:x"}, "invalid_client_metadata"),
    ({"contacts": "me"}, "invalid_client_metadata"),
    ({"contacts": ["x"] * 1_000}, "invalid_client_metadata"),
    ({"application_type": "service"}, "invalid_client_metadata"),
    ({"software_statement": "eyJhbGciOiJub25lIn0.e30."}, "invalid_software_statement"),
    ({"software_statement": 5}, "invalid_software_statement"),
])
@pytest.mark.requirement("REG-024")
@pytest.mark.requirement("REG-031")
def test_metadata_that_does_not_do_is_refused_by_name(gateway, register, registration, change, error):
    response = register(registration(**change))
    assert (response.status_code, response.json["error"]) == (400, error)
    assert gateway.services.clients.all() == []
    assert len(response.data) < 1_000


@pytest.mark.requirement("REG-014")
@pytest.mark.requirement("REG-015")
@pytest.mark.requirement("REG-018")
@pytest.mark.parametrize(("change", "echoed"), [
    ({"grant_types": ["authorization_code", "implicit", "password"]}, {"grant_types": ["authorization_code"]}),
    ({"grant_types": None}, {"grant_types": ["authorization_code"]}),
    ({"grant_types": ["authorization_code", "client_credentials"]}, {"grant_types": ["authorization_code"]}),
    ({"response_types": ["code", "token"]}, {"response_types": ["code"]}),
    ({"response_types": None}, {"response_types": ["code"]}),
    ({"scope": "tools:read openid"}, {"scope": "tools:read"}),
    ({"scope": "tools:read,tools:execute"}, {"scope": BOTH_SCOPES}),
    ({"client_name": None}, {"client_name": "A client without a name"}),
    ({"client_name": "日本 <b>&"}, {"client_name": "日本 <b>&"}),
    ({"application_type": "native"}, {"application_type": "native"}),
    ({"redirect_uris": [REDIRECT_URI, REDIRECT_URI]}, {"redirect_uris": [REDIRECT_URI]}),
    ({"is_admin": True, "skip_consent": True, "trusted": 1, "pkce_required": False, "origin": "operator"}, {}),
    ({"client_id": "mine", "client_secret": "mine", "client_secret_digests": ["x"], "created_at": 0}, {}),
    ({"jwks_uri": "http://169.254.169.254/"}, {}),
    ({"jwks": {}}, {}),
    ({"jwks": 5}, {}),
    ({"use_pkce": False}, {}),
    ({"__proto__": {"a": 1}, "": 1, "x" * 500: 1}, {}),
])
def test_what_is_not_served_is_left_out_of_the_answer_and_what_is_unknown_is_ignored(gateway, register, registration, change, echoed):
    response = register(registration(**change))
    assert response.status_code == 201
    assert echoed.items() <= response.json.items()
    assert not {"is_admin", "jwks", "jwks_uri", "use_pkce", "pkce_required"} & response.json.keys()
    [stored] = gateway.services.clients.all()
    assert stored.pkce_required
    assert stored.origin == "registration"
    assert stored.client_id != "mine"


@pytest.mark.requirement("REG-019")
@pytest.mark.requirement("REG-020")
@pytest.mark.parametrize(("body", "content_type", "status"), [
    (b"", "application/json", 400),
    (b"{", "application/json", 400),
    (b"null", "application/json", 400),
    (b"[1]", "application/json", 400),
    (b'"x"', "application/json", 400),
    (b"1e400", "application/json", 400),
    (b"\xff\xfe{\x00}", "application/json", 400),
    (b'{"client_name": "\xff"}', "application/json", 400),
    (b'{"client_name": "\\ud800"}', "application/json", 400),
    (b'{"redirect_uris": NaN}', "application/json", 400),
    (b"[" * 20_000, "application/json", 400),
    (b'{"a":' * 20_000, "application/json", 400),
    (b"{}" + b" " * 100_000, "application/json", 413),
    (b"{}" * 1_500_000, "application/json", 413),
    (b"client_name=x", "application/x-www-form-urlencoded", 415),
    (b"{}", "text/plain", 415),
    (b"{}", "", 415),
    (b"{}", "application/json; charset=utf-16", 400),
    (b"{}", "application/json;;;=\xff", 400),
])
def test_a_body_that_is_not_an_object_of_metadata_is_refused(register, body, content_type, status):
    response = register(None, data=body, content_type=content_type, json=None)
    assert response.status_code == status
    assert response.mimetype == "application/json"
    assert response.json["error"] in ("invalid_client_metadata", "invalid_redirect_uri", "invalid_request")


@pytest.mark.requirement("SSR-002")
def test_no_url_in_the_metadata_is_fetched(register, registration):
    with canary() as (url, asked):
        urls = dict.fromkeys(("jwks_uri", "logo_uri", "client_uri", "policy_uri", "tos_uri", "sector_identifier_uri", "request_uris"), f"{url}/x")
        assert register(registration(**urls)).status_code == 201
    assert asked == []


@pytest.mark.requirement("REG-025")
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_other_methods_than_post_register_nobody(gateway, registration, method):
    response = gateway.send(method, "/oauth/register", json=registration(), headers=BEARER)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert gateway.services.clients.all() == []
