"""A document is asked for where an operator allows it, seldom, and never where it leads inside. Over real TLS."""

from __future__ import annotations

import threading
import time

import pytest

from mcp_server.outbound import client_documents, safe_fetch
from mcp_server.outbound.safe_fetch import Fetched, FetchFailed
from tests.document_clients import LOOPBACK, refused_at_authorize
from tests.gateway import Browser, ClientApplication, canary
from tests.key_clients import Signer, asserting
from tests.tls import says


@pytest.fixture
def gateway(knowing):
    return knowing


@pytest.fixture
def client(unregistered):
    return unregistered


@pytest.mark.requirement("CIM-002")
@pytest.mark.parametrize("client_id", [
    "https://127.0.0.1/c", "https://localhost/c", "https://2130706433/c", "https://0x7f000001/c", "https://127.1/c", "https://0x7f.1/c",
    "https://[::ffff:127.0.0.1]/c", "https://[::1]/c", "https://x@127.0.0.1/c", "https://127.0.0.1.nip.io/c", "https://inner.acme.test/c",
    "https://10.0.0.1/c", "https://169.254.169.254/latest/meta-data", "https://[fe80::1]/c"])
def test_in_production_nothing_inside_is_connected_to(open_gateway, monkeypatch, client_id):
    """Every host is allowed here, the fetch is the real one, and these names lead inside."""
    gateway = open_gateway(CIMD_ALLOWED_DOMAINS="*")
    monkeypatch.setattr("socket.getaddrinfo", lambda _, port, *__, **___: [(2, 1, 6, "", ("127.0.0.1", port))])
    connected = []
    monkeypatch.setattr("urllib3.util.connection.create_connection", lambda address, *_, **__: connected.append(address))
    client = ClientApplication(client_id)
    refused_at_authorize(gateway, client)
    assert gateway.token(client.redeems("x")).status_code == 401
    assert connected == []


@pytest.mark.requirement("CIM-003")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(gateway, site, application, status):
    with canary() as (elsewhere, asked):
        for location in (elsewhere, f"{site.url}/other.json"):
            site.answer = says(application.document(), status, Location=location)
            refused_at_authorize(gateway, application.client)
    assert asked == []
    assert set(site.asked) == {"/client.json"}


def drip(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.1)


@pytest.mark.requirement("CIM-005")
def test_a_large_document_is_refused_and_one_of_five_kilobytes_is_not(gateway, application, clock):
    application.describe(policy="x" * 4_700)
    assert Browser(gateway).consent_page(application.client.asks()).status_code == 200
    clock.advance(3601)
    for size in (5_200, 10_000_000):
        application.describe(policy="x" * size)
        assert "5 kB" in refused_at_authorize(gateway, application.client)


@pytest.mark.requirement("CIM-005")
def test_a_document_that_comes_byte_by_byte_is_given_up(gateway, site, client, monkeypatch):
    monkeypatch.setattr(safe_fetch, "SECONDS", 0.6)
    site.answer = drip
    began = time.monotonic()
    assert "app.acme.test" in refused_at_authorize(gateway, client, status=503)
    assert time.monotonic() - began < 2


@pytest.mark.requirement("CIM-006")
@pytest.mark.parametrize("client_id", [
    "http://app.acme.test:{}/client.json", "https://app.acme.test:{}", "https://app.acme.test:{}/", "https://app.acme.test:{}/client.json#a",
    "https://app.acme.test:{}/client.json#", "https://x@app.acme.test:{}/client.json", "https://x:y@app.acme.test:{}/client.json",
    "https://@app.acme.test:{}/client.json", "https://app.acme.test:{}/./client.json", "https://app.acme.test:{}/a/../client.json",
    "https://app.acme.test:{}/%2e%2E/client.json", "https://app.acme.test:{}/a/.%2e", "https://app.acme.test:{}/..", "HTTPS://app.acme.test:{}/client.json",
    "https://app.acme.test:{}/client.json?a=b", "https://app.acme.test:{}/client.json?", "https://APP.acme.test:{}/client.json",
    "https://app.acme.test.:{}/client.json", "https://app..acme.test:{}/c", "https://app.acme.test:{}\\@elsewhere.test/c", "https:///client.json",
    "https://app.acme.test:0{}/client.json", "https://app.acme.test:/client.json", "https://app.acme.test:443/client.json",
    "https://app.acme.test:{}/%", "https://app.acme.test:{}/%zz", "https://app.acme.test:{}/a b", "https://app.acme.test:{}/'x",
    "https:app.acme.test/c", "ftp://app.acme.test:{}/client.json", "//app.acme.test:{}/client.json", "https://app.acme.test:{}/" + "x" * 1_000])
def test_a_url_that_cannot_be_a_client_id_is_refused_and_not_asked(gateway, site, client_id):
    client = ClientApplication(client_id.format(site.port))
    refused_at_authorize(gateway, client)
    assert gateway.token(client.redeems("x")).status_code == 401
    assert (site.asked, site.names) == ([], [])


@pytest.mark.parametrize(("listed", "answered"), [
    ("app.acme.test:{}", 200), ("*.acme.test:{}", 200), ("other.test, App.Acme.Test:{}", 200),
    ("app.acme.test", 400), ("*.acme.test", 400), ("*", 400), ("acme.test:{}", 400), ("*.app.acme.test:{}", 400), ("other.test", 400), (None, 400)])
def test_only_listed_domains_are_asked_and_another_port_only_where_it_is_listed(open_with, site, client, listed, answered):
    gateway = open_with(CIMD_ALLOWED_DOMAINS=listed and listed.format(site.port))
    gateway.add_user()
    page = Browser(gateway).consent_page(client.asks())
    assert page.status_code == answered
    assert bool(site.asked) == (answered == 200)
    assert answered == 200 or "CIMD_ALLOWED_DOMAINS" in page.text


def test_an_asterisk_means_every_public_host(open_gateway, clock):
    url = "https://anywhere.example/client.json"
    gateway = open_gateway(CIMD_ALLOWED_DOMAINS="*", fetch=lambda asked, _most: Fetched({
        "client_id": asked, "client_name": "Any", "redirect_uris": ["https://anywhere.example/cb"]}, None))
    gateway.add_user()
    assert gateway.opens(gateway.tokens(ClientApplication(url, redirect_uri="https://anywhere.example/cb"))["access_token"])


@pytest.mark.parametrize(("header", "seconds"), [("", 300), ("max-age=120", 120), ("max-age=1", 60), ("no-store", 60), ("max-age=999999", 3600)])
def test_a_document_is_kept_as_its_site_allows_within_our_bounds(gateway, application, clock, header, seconds):
    site = application.site
    application.describe(headers={"Cache_Control": header})
    for wait, asked in ((0, 1), (seconds - 1, 1), (2, 2)):
        clock.advance(wait)
        assert gateway.authorize(application.client.asks()).status_code == 302
        assert len(site.asked) == asked


def test_what_the_document_no_longer_says_no_longer_holds(gateway, application, key_client, clock):
    refresh_token, new = gateway.tokens(key_client)["refresh_token"], Signer(kid="k2")

    def refresh(signer):
        proof = asserting(signer.assertion(key_client.client_id, now=clock()))
        return gateway.token({"grant_type": "refresh_token", "refresh_token": refresh_token} | proof).status_code

    application.describe(token_endpoint_auth_method="private_key_jwt", jwks=new.jwks, redirect_uris=[LOOPBACK])
    clock.advance(301)
    assert "redirect_uri" in refused_at_authorize(gateway, key_client)
    assert (refresh(key_client.signer), refresh(new)) == (401, 200)


def test_a_redirect_uri_that_was_removed_while_the_page_stood_gets_no_code(gateway, application, clock):
    browser = Browser(gateway)
    page = browser.consent_page(application.client.asks())
    application.describe(redirect_uris=[LOOPBACK])
    clock.advance(301)
    assert browser.decide(page).status_code == 400


@pytest.mark.parametrize("failure", [says({}, 500), says({}, 503), says({}, 429), lambda handler: handler.connection.close()])
def test_while_the_site_is_away_a_person_is_told_so_and_a_refresh_goes_on_for_a_day(gateway, application, clock, failure):
    client, site = application.client, application.site
    tokens = gateway.tokens(client)
    site.answer = failure
    clock.advance(3601)
    text = refused_at_authorize(gateway, client, status=503)
    assert "app.acme.test" in text
    assert "Try again" in text
    tokens = gateway.refresh(client, tokens["refresh_token"]).json
    assert gateway.opens(tokens["access_token"])
    clock.advance(86_400)
    answer = gateway.refresh(client, tokens["refresh_token"])
    assert (answer.status_code, answer.json["error"], answer.headers["Retry-After"]) == (503, "temporarily_unavailable", "30")
    application.describe()
    assert gateway.refresh(client, tokens["refresh_token"]).status_code == 200


def test_a_document_that_was_taken_back_ends_the_refreshes_also_when_the_site_is_away_later(gateway, site, application, clock):
    tokens = gateway.tokens(application.client)
    clock.advance(301)
    for answer, status in ((says({}, 404), 401), (says({}, 503), 503)):
        site.answer = answer
        assert gateway.refresh(application.client, tokens["refresh_token"]).status_code == status
    application.describe()
    assert gateway.refresh(application.client, tokens["refresh_token"]).status_code == 200


def test_a_worker_that_never_saw_the_document_keeps_the_grant_and_says_try_again(open_with, gateway, site, application):
    tokens = gateway.tokens(application.client)
    site.answer = says({}, 503)
    other = open_with()
    assert other.refresh(application.client, tokens["refresh_token"]).status_code == 503
    application.describe()
    assert other.refresh(application.client, tokens["refresh_token"]).status_code == 200


def test_nobody_can_make_us_ask_a_host_again_and_again_for_what_is_not_there(gateway, site, application, clock):
    clock.now = clock.now // 60 * 60
    site.answer = says({}, 404)
    answers = [gateway.authorize(ClientApplication(f"{site.url}/{number}").asks()).status_code for number in range(15)]
    assert answers == [400] * 10 + [503] * 5
    assert len(site.asked) == 10
    clock.advance(60)
    application.describe()
    assert gateway.authorize(application.client.asks()).status_code == 302


def test_what_strangers_ask_for_does_not_stand_in_the_way_of_a_document_that_was_good(gateway, site, application, clock):
    clock.now = clock.now // 60 * 60
    assert gateway.authorize(application.client.asks()).status_code == 302
    clock.advance(300)
    site.answer = says({}, 404)
    for number in range(12):
        gateway.authorize(ClientApplication(f"{site.url}/{number}").asks())
    application.describe()
    assert gateway.authorize(application.client.asks()).status_code == 302


def test_a_good_document_that_fails_is_asked_for_a_few_times_a_minute(gateway, site, application, clock):
    clock.now = clock.now // 60 * 60
    gateway.authorize(application.client.asks())
    clock.advance(300)
    site.answer = says({}, 500)
    assert [gateway.authorize(application.client.asks()).status_code for _ in range(15)] == [503] * 15
    assert len(site.asked) == 1 + 10


def test_failures_are_bounded_over_all_hosts(open_gateway, clock):
    clock.now, asked = clock.now // 60 * 60, []

    def fetch(url, _most):
        asked.append(url)
        raise FetchFailed("no")

    gateway = open_gateway(CIMD_ALLOWED_DOMAINS="*", fetch=fetch)
    for number in range(80):
        assert gateway.token(ClientApplication(f"https://host{number}.example/c").redeems("x")).status_code == 503
    assert len(asked) == client_documents.MOST_FAILURES_IN_ALL == 60


def test_many_who_come_at_once_make_one_request(open_gateway):
    asked, answers, url = [], [], "https://anywhere.example/client.json"

    def fetch(asked_for, most):
        asked.append((asked_for, most))
        time.sleep(0.2)
        return Fetched({"client_id": url, "client_name": "Any", "redirect_uris": ["https://anywhere.example/cb"]}, None)

    gateway = open_gateway(CIMD_ALLOWED_DOMAINS="*", fetch=fetch)
    client = ClientApplication(url, redirect_uri="https://anywhere.example/cb")
    threads = [threading.Thread(target=lambda: answers.append(gateway.services.authorize._server.query_client(client.client_id))) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (asked, len(answers)) == ([(url, 5_120)], 24)
