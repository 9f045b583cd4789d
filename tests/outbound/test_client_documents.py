"""A client that is known by a URL, over real TLS: the document there is all that is known of it."""

from __future__ import annotations

import pytest

from tests.document_clients import LOOPBACK, refused_at_authorize
from tests.gateway import ISSUER, Browser, ClientApplication, query_of
from tests.key_clients import KeyClient, Signer
from tests.tls import says


@pytest.fixture
def gateway(knowing):
    return knowing


@pytest.fixture
def client(unregistered):
    return unregistered


@pytest.mark.requirement("CIM-001")
def test_it_is_announced_exactly_where_it_is_served(open_gateway, gateway):
    path = "/.well-known/oauth-authorization-server"
    assert gateway.get(path).json["client_id_metadata_document_supported"] is True
    assert "client_id_metadata_document_supported" not in open_gateway().get(path).json


@pytest.mark.requirement("CIM-001")
def test_a_client_that_nobody_registered_goes_the_whole_way(gateway, site, client):
    tokens = gateway.tokens(client)
    assert gateway.opens(tokens["access_token"])
    refreshed = gateway.refresh(client, tokens["refresh_token"]).json
    assert gateway.opens(refreshed["access_token"])
    assert gateway.revoke({"token": refreshed["refresh_token"]} | client.proof).status_code == 200
    assert not gateway.opens(refreshed["access_token"])
    assert (site.asked, site.names) == (["/client.json"], ["app.acme.test"])
    assert gateway.services.clients.all() == []


def test_what_was_read_and_what_was_approved_is_in_the_audit_log(gateway, client, log):
    gateway.tokens(client)
    [read] = log.audited("client_document_read")
    assert (read["client_id"], read["details"]["client_name"]) == (client.client_id, "The laptop's editor")
    assert [line["client_id"] for line in log.audited("consent") + log.audited("token_issued")] == [client.client_id] * 2


def test_a_client_with_a_key_must_use_it_and_may_ask_what_its_tokens_are_worth(gateway, key_client):
    code = gateway.code(key_client)
    unproven = key_client.redeems(code, client_assertion=None, client_assertion_type=None, client_id=key_client.client_id)
    assert gateway.token(unproven).status_code == 401
    tokens = gateway.token(key_client.redeems(code)).json
    answer = gateway.post("/oauth/introspect", data={"token": tokens["access_token"]} | key_client.proof).json
    assert (answer["active"], answer["client_id"]) == (True, key_client.client_id)


def test_keys_may_lie_beside_the_document_and_nowhere_else(gateway, site, application):
    signer, client = Signer(), application.client
    document = application.document(token_endpoint_auth_method="private_key_jwt", jwks_uri=f"{site.url}/keys")
    site.answer = lambda handler: says(signer.jwks if handler.path == "/keys" else document)(handler)
    assert gateway.tokens(KeyClient(client.client_id, None, client.redirect_uri, signer))["access_token"]
    assert sorted(site.asked) == ["/client.json", "/keys"]


def test_no_such_client_gets_a_token_that_no_person_approved(gateway, application, key_client):
    every_grant = ["authorization_code", "refresh_token", "client_credentials"]
    application.describe(token_endpoint_auth_method="private_key_jwt", jwks=key_client.signer.jwks, grant_types=every_grant)
    answer = gateway.token({"grant_type": "client_credentials"} | key_client.proof)
    assert (answer.status_code, answer.json["error"]) == (400, "unauthorized_client")
    assert gateway.tokens(key_client)["refresh_token"]


def test_a_public_client_cannot_introspect(gateway, client):
    assert gateway.post("/oauth/introspect", data={"token": "x"} | client.proof).status_code == 401


def test_an_application_on_the_persons_own_computer_may_use_any_port(gateway, client):
    local = ClientApplication(client.client_id, redirect_uri="http://127.0.0.1:51004/cb")
    assert gateway.opens(gateway.tokens(local)["access_token"])


@pytest.mark.requirement("CIM-007")
@pytest.mark.parametrize("change", [
    {"client_secret": "s3cret-of-all"}, {"client_secret_expires_at": 0}, {"token_endpoint_auth_method": "client_secret_post"},
    {"token_endpoint_auth_method": "client_secret_basic"}, {"token_endpoint_auth_method": "client_secret_jwt"},
    {"token_endpoint_auth_method": "tls_client_auth"}, {"token_endpoint_auth_method": "client_secret_basic", "client_secret": ""},
    {"jwks": {"keys": [Signer().private_jwk]}}, {"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}},
    {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [Signer().private_jwk]}}])
def test_a_document_with_a_secret_is_refused_and_the_secret_is_not_repeated(gateway, application, log, change):
    application.describe(**change)
    page = refused_at_authorize(gateway, application.client)
    assert "The client document of app.acme.test" in page
    answer = gateway.token(application.client.redeems("x"))
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert "s3cret" not in page + answer.text + log.text


@pytest.mark.parametrize("change", [
    {"client_id": None}, {"client_id": "https://app.acme.test/client.json"}, {"client_id": 5}, {"client_name": None}, {"client_name": ""},
    {"client_name": " "}, {"client_name": "a\nb"}, {"client_name": "x" * 201}, {"client_name": ["x"]}, {"redirect_uris": None}, {"redirect_uris": []},
    {"redirect_uris": "https://app.acme.test/cb"}, {"redirect_uris": [5]}, {"redirect_uris": ["javascript:alert(1)"]},
    {"redirect_uris": ["http://app.acme.test/cb"]}, {"redirect_uris": ["https://elsewhere.test/cb"]}, {"redirect_uris": ["https://app.acme.test/cb#a"]},
    {"redirect_uris": ["https://app.acme.test.elsewhere.test/cb"]}, {"redirect_uris": ["https://x@app.acme.test/cb"]}, {"redirect_uris": ["https://[::1/"]},
    {"redirect_uris": ["https://*.acme.test/cb"]}, {"redirect_uris": ["editor://cb"]}, {"grant_types": ["client_credentials"]}, {"grant_types": "x"},
    {"grant_types": ["implicit"]}, {"response_types": ["token"]}, {"token_endpoint_auth_method": "private_key_jwt"},
    {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}}, {"token_endpoint_auth_method": "private_key_jwt", "jwks": 5},
    {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://elsewhere.test/keys"},
    {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://app.acme.test/keys"}, {"client_uri": "javascript:alert(1)"}])
def test_a_document_that_does_not_do_is_refused_in_words_for_its_author_and_read_anew_once_it_is_right(gateway, application, change):
    application.describe(**change)
    text = refused_at_authorize(gateway, application.client)
    assert "The client document of app.acme.test" in text
    assert any(name in text for name in (*change, "redirect_uris", "grant_types", "jwks"))
    application.describe()
    assert Browser(gateway).consent_page(application.client.asks()).status_code == 200


@pytest.mark.parametrize("answer", [
    says({}, 404), says({}, 201), says({}, 401), says(b"<html>"), says([1]), says(b""), says(b'{"a": NaN}'), says({}),
    says({}, **{"Content-Type": "text/html"})])
def test_what_is_no_document_is_refused(gateway, site, client, answer):
    site.answer = answer
    assert "could not be read" in refused_at_authorize(gateway, client) or "cannot be used" in refused_at_authorize(gateway, client)


@pytest.mark.parametrize(("media_type", "answered"), [
    ("application/json; charset=utf-8", 200), ("application/client+json", 200), ("Application/JSON", 200),
    ("text/plain", 400), ("image/svg+json", 400)])
def test_only_what_is_served_as_json_is_a_document(gateway, application, media_type, answered):
    application.describe(headers={"Content-Type": media_type})
    assert Browser(gateway).consent_page(application.client.asks()).status_code == answered


def test_a_redirect_uri_counts_where_the_document_and_this_server_allow_it(open_with, site, application):
    gateway = open_with(CIMD_ALLOWED_DOMAINS=f"app.acme.test:{site.port},*.friends.test", SERVICENOW_INSTANCE="https://dev1.service-now.com")
    gateway.add_user()
    good = [f"{site.url}/cb", "https://app.acme.test/cb", LOOPBACK, "https://a.friends.test/cb", "https://dev1.service-now.com/oauth_redirect.do"]
    bad = ["https://elsewhere.test/cb", "editor://cb", "https://friends.test/cb", "http://a.friends.test/cb"]
    application.describe(redirect_uris=bad + good)
    for uri in good:
        assert Browser(gateway).consent_page(application.client.asks(redirect_uri=uri)).status_code == 200
    for uri in (*bad, f"{site.url}/cb/", "https://app.acme.test/other"):
        assert "CIMD_ALLOWED_DOMAINS" in refused_at_authorize(gateway, application.client, redirect_uri=uri)


def test_the_page_says_by_which_address_the_application_is_known_and_where_the_answer_goes(gateway, site, application):
    application.describe(client_name="Microsoft <b>Office</b>", client_uri="https://microsoft.com/")
    page = Browser(gateway).consent_page(application.client.asks(redirect_uri="http://127.0.0.1:33418/cb"))
    host = f"app.acme.test:{site.port}"
    assert f'<strong class="address">{host}</strong>' in page.text
    assert '<strong class="host">127.0.0.1:33418</strong>' in page.text
    assert f"Any program there can say that it is the one of {host}." in page.text
    assert "Nobody registered this application here." in page.text
    assert "<b>" not in page.text
    assert "microsoft.com" not in page.text
    assert "Any program there" not in Browser(gateway).consent_page(application.client.asks()).text


def test_a_client_that_was_shut_out_is_refused_everywhere_and_not_asked(gateway, site, client, clock):
    tokens = gateway.tokens(client)
    gateway.services.revocations.revoke((f"client:{client.client_id}",), clock() + 10_000)
    clock.advance(3601)
    site.asked.clear()
    assert not gateway.opens(tokens["access_token"])
    assert gateway.refresh(client, tokens["refresh_token"]).status_code == 401
    assert "shut this application out" in refused_at_authorize(gateway, client)
    assert site.asked == []


def test_the_longest_client_id_works_to_the_end(gateway, site, application):
    """An access token has it inside, and must not become longer than what is read."""
    url = f"{site.url}/".ljust(1_000, "x")
    signer = Signer()
    application.describe(client_id=url, token_endpoint_auth_method="private_key_jwt", jwks=signer.jwks)
    client = KeyClient(url, None, application.client.redirect_uri, signer)
    tokens = gateway.tokens(client)
    assert gateway.opens(tokens["access_token"])
    assert gateway.revoke({"token": tokens["refresh_token"]} | client.proof).status_code == 200
    assert not gateway.opens(tokens["access_token"])


def test_a_client_id_that_is_a_url_is_never_looked_up_in_the_registry(open_gateway, gateway, site, application):
    url = f"{site.url}/registered.json"
    for each in (gateway, open_gateway()):
        if not each.services.clients.find(url):
            each.add_client(client_id=url)
        answer = each.authorize(application.client.asks(client_id=url, redirect_uri=None))
        assert answer.status_code == 400
        assert ("does not know clients by their web address" in answer.text) == (each is not gateway)


def test_nothing_of_such_a_client_can_be_managed_as_a_registration(gateway, client):
    gateway.tokens(client)
    for method in ("GET", "PUT", "DELETE"):
        for client_id in (client.client_id, client.client_id.replace("/", "%2F"), "https:", client.client_id.replace("/", "%252F")):
            answer = gateway.send(method, f"/oauth/register/{client_id}", json={}, headers={"Authorization": "Bearer x"})
            assert answer.status_code in (401, 404), answer.text


def test_a_secret_is_refused_from_a_client_that_has_none(gateway, client):
    answer = gateway.token(client.redeems("x", client_secret="x"))
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


def test_requests_count_against_the_limit_of_the_client_that_a_url_names(open_with, application):
    gateway = open_with(RATE_LIMIT_OAUTH_MAX="6")
    gateway.add_user()
    refresh_token = gateway.tokens(application.client)["refresh_token"]
    answers = []
    for number in range(7):
        answer = gateway.token(application.client.refreshes(refresh_token), environ_base={"REMOTE_ADDR": f"198.51.100.{number}"})
        refresh_token = answer.json.get("refresh_token", refresh_token)
        answers.append(answer.status_code)
    assert answers == [200] * 5 + [429] * 2


def test_what_comes_back_names_the_issuer(gateway, client):
    answer = query_of(Browser(gateway).approve(client.asks()))
    assert (answer["iss"], answer["state"]) == (ISSUER, "st4te")
