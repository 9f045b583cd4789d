"""Keys that a client publishes at its jwks_uri, over real TLS: kept for a while, fetched anew when they were rotated."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from mcp_server.oauth.ports import JwksUnavailable
from mcp_server.outbound import cache
from mcp_server.outbound.jwks import CachedJwks
from mcp_server.outbound.safe_fetch import Fetched, FetchFailed
from tests.gateway import DCR_TOKEN
from tests.key_clients import KeyClient, Signer, add_key_client, asserting
from tests.tls import says

CREDENTIALS = {"grant_type": "client_credentials"}


@pytest.fixture
def gateway(open_gateway, fetch):
    opened = open_gateway(fetch=fetch)
    opened.add_user()
    return opened


@pytest.fixture
def client(gateway, web):
    client = add_key_client(gateway, Signer(), jwks_uri=f"{web.url}/keys")
    web.answer = says(client.signer.jwks)
    return client


@pytest.fixture
def served(web, client):
    """served(**headers): the keys of the client are answered with these headers from now on."""
    def served(**headers):
        web.answer = says(client.signer.jwks, **headers)
        return web

    return served


@pytest.fixture
def ask(gateway, client, clock):
    return lambda signer=client.signer, **kwargs: gateway.token(
        CREDENTIALS | asserting(signer.assertion(client.client_id, now=clock(), **kwargs))).status_code


def test_a_client_logs_in_with_the_keys_that_it_publishes(gateway, web, client):
    assert gateway.opens(gateway.tokens(client)["access_token"])
    assert web.asked == ["/keys"]


def test_nothing_is_fetched_at_registration_and_the_keys_at_the_first_login(gateway, web, registration):
    signer = Signer()
    web.answer = says(signer.jwks)
    answer = gateway.post("/oauth/register", headers={"Authorization": f"Bearer {DCR_TOKEN}"}, json=registration(
        token_endpoint_auth_method="private_key_jwt", jwks_uri=f"{web.url}/keys"))
    assert answer.json["jwks_uri"] == f"{web.url}/keys"
    assert "client_secret" not in answer.json
    assert web.asked == []
    gateway.tokens(KeyClient(answer.json["client_id"], signer=signer))
    assert web.asked == ["/keys"]


def test_only_an_assertion_that_is_otherwise_right_makes_us_fetch(ask, web):
    for changes in ({"aud": "x"}, {"exp": 5}, {"jti": None}, {"iss": "x"}, {"header": {"alg": "none"}}):
        assert ask(**changes) == 401
    assert web.asked == []


def test_a_rotated_key_works_at_once_and_the_former_no_longer(ask, web, clock):
    new = Signer(kid="k2")
    assert ask() == 200
    web.answer = says(new.jwks)
    assert ask(new) == 200
    assert ask() == 401
    assert len(web.asked) == 2


def test_an_unknown_key_is_looked_for_once_a_minute_and_the_known_one_works_meanwhile(ask, web, clock):
    stranger = Signer(kid="k3")
    assert ask() == 200
    asked = len(web.asked)
    assert [ask(stranger) for _ in range(5)] == [401] * 5
    assert len(web.asked) == asked + 1
    clock.advance(59)
    assert ask(stranger) == 401
    assert len(web.asked) == asked + 1
    clock.advance(2)
    assert ask(stranger) == 401
    assert len(web.asked) == asked + 2
    assert ask() == 200


def test_an_unknown_key_at_the_first_login_is_not_asked_for_twice(ask, web):
    assert ask(Signer(kid="k9")) == 401
    assert len(web.asked) == 1


@pytest.mark.parametrize(("header", "seconds"), [("", 300), ("max-age=120", 120), ("max-age=1", 60), ("no-store", 60), ("max-age=999999", 3600)])
def test_keys_are_kept_as_long_as_their_server_allows_within_our_bounds(served, ask, clock, header, seconds):
    web = served(Cache_Control=header)
    assert ask() == 200
    clock.advance(seconds - 1)
    assert ask() == 200
    assert len(web.asked) == 1
    clock.advance(2)
    assert ask() == 200
    assert len(web.asked) == 2


@pytest.mark.parametrize("answer", [
    says({}, 500), says(b"<html>"), says({}), says({"keys": 5}), says({"keys": [5, None, {}]}), says({"keys": []}), says({"x": "x" * 70_000}),
    says({}, 302, Location="/other")])
def test_a_failure_is_401_and_not_remembered(client, ask, web, clock, answer):
    web.answer = answer
    assert ask() == 401
    web.answer = says(client.signer.jwks)
    clock.advance(61)
    assert ask() == 200


def test_after_a_failed_fetch_the_next_login_succeeds_at_once(client, ask, web):
    web.answer = says({}, 503)
    assert ask() == 401
    web.answer = says(client.signer.jwks)
    assert ask() == 200


def test_a_published_private_key_is_not_believed(client, ask, web):
    web.answer = says({"keys": [client.signer.private_jwk]})
    assert ask() == 401


def test_in_production_a_jwks_uri_that_leads_inside_is_never_connected_to(open_gateway, web, log):
    gateway = open_gateway()
    for host in ("localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433"):
        client = add_key_client(gateway, jwks_uri=f"https://{host}:{web.port}/keys")
        web.answer = says(client.signer.jwks)
        assert gateway.token(CREDENTIALS | client.proof).status_code == 401
    assert web.asked == web.names == []
    assert "is not a public address" in log.text


def test_many_who_need_the_same_keys_make_one_request(clock):
    began, calls = threading.Event(), []

    def fetch(url, most_bytes):
        calls.append((url, most_bytes))
        began.set()
        time.sleep(0.2)
        return Fetched({"keys": []}, None)

    source = CachedJwks(fetch, clock)
    threads = [threading.Thread(target=source.keys, args=("https://a.test/",)) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [("https://a.test/", 65_536)]


def test_those_who_wait_share_a_failure(clock):
    calls, failures = [], []

    def fetch(_url, _most):
        calls.append(1)
        time.sleep(0.2)
        raise FetchFailed("no")

    def ask():
        try:
            source.keys("https://a.test/")
        except JwksUnavailable as error:
            failures.append(str(error))

    source = CachedJwks(fetch, clock)
    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(calls), failures) == (1, ["no"] * 12)


def test_a_fetch_that_breaks_leaves_nobody_waiting(clock):
    source = CachedJwks(lambda _url, _most: 1 / 0, clock)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            source.keys("https://a.test/")
    assert source._sets._flights == {}


def test_the_number_of_kept_sets_and_of_fetches_at_once_is_bounded(clock, monkeypatch):
    monkeypatch.setattr(cache, "MOST_ENTRIES", 3)
    calls = Counter()

    def fetch(url, _most):
        calls[url] += 1
        return Fetched({}, None)

    source = CachedJwks(fetch, clock)
    for number in (1, 2, 3, 1, 4, 1, 2):  # 2 was the one that nobody had asked for the longest
        source.keys(f"https://{number}.test/")
    assert calls == {"https://1.test/": 1, "https://2.test/": 2, "https://3.test/": 1, "https://4.test/": 1}
    monkeypatch.setattr(cache, "MOST_AT_ONCE", 0)
    with pytest.raises(JwksUnavailable, match="too many"):
        source.keys("https://5.test/")
