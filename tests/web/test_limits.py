"""How many requests from whom, and how the refusal looks where."""

from __future__ import annotations

import pytest

from mcp_server.oauth.models import DEVICE_CODE
from mcp_server.rate_limiting.limits import LocalCounter
from mcp_server.web.limits import SIGN_INS
from tests.devices import asks, device, device_client
from tests.gateway import API_KEY, DCR_TOKEN, ISSUER, Browser, both_back_ends, hidden_fields
from tests.servers import free_port

KEY = {"X-API-Key": API_KEY}


def address(number):
    return {"environ_overrides": {"REMOTE_ADDR": f"198.51.100.{number}"}}


@pytest.fixture
def oauth_limited(open_gateway):
    return open_gateway(RATE_LIMIT_OAUTH_MAX="3", RATE_LIMIT_OAUTH_WINDOW="600")


@pytest.fixture
def mcp_limited(open_gateway):
    opened = open_gateway(RATE_LIMIT_MCP_MAX="3", RATE_LIMIT_MCP_WINDOW="60")
    opened.add_user()
    return opened


def is_refused(response, most):
    assert response.status_code == 429, response.text
    assert 0 < int(response.headers["Retry-After"]) <= most + 1  # a second may be begun
    assert "WWW-Authenticate" not in response.headers
    return True


def ask(gateway, path="/oauth/token", client_id="nobody", **kwargs):
    return gateway.post(path, data={"grant_type": "refresh_token", "client_id": client_id}, **kwargs)


@both_back_ends
@pytest.mark.requirement("RL-001")
def test_past_the_limit_an_address_is_refused_in_the_form_of_the_endpoint(oauth_limited):
    assert [ask(oauth_limited, client_id=f"c{number}", **address(1)).status_code for number in range(3)] == [401] * 3
    for number, path in enumerate(("/oauth/token", "/token", "/oauth/revoke", "/oauth/register", "/oauth/authorize")):
        response = oauth_limited.send("GET" if path.endswith("authorize") else "POST", path, query_string={"client_id": f"d{number}"}, **address(1))
        assert is_refused(response, 600)
        assert response.json["error"] == "too_many_requests"
    page = oauth_limited.get("/oauth/authorize", headers={"Accept": "text/html"}, **address(1))
    assert is_refused(page, 600)
    assert page.mimetype == "text/html"
    assert ask(oauth_limited, client_id="other", **address(2)).status_code == 401


@both_back_ends
@pytest.mark.requirement("RL-004")
@pytest.mark.parametrize("named_by", ["form", "basic"])
def test_past_its_limit_a_client_is_refused_from_everywhere_and_others_are_served(oauth_limited, named_by):
    one, two = (oauth_limited.add_client("a secret", grant_types=("client_credentials",)) for _ in range(2))

    def ask_as(client, number):
        proof, headers = (client.proof, {}) if named_by == "form" else ({}, client.basic)
        return oauth_limited.post("/oauth/token", data={"grant_type": "client_credentials", **proof}, headers=headers, **address(number))

    assert [ask_as(one, number).status_code for number in range(3)] == [200] * 3
    assert is_refused(ask_as(one, 4), 600)
    assert ask_as(two, 5).status_code == 200


@both_back_ends
def test_who_only_knows_the_id_of_a_client_cannot_use_its_limit_up(oauth_limited):
    client = oauth_limited.add_client("a secret", grant_types=("client_credentials",))
    for number in range(5):
        assert ask(oauth_limited, client_id=client.client_id, **address(number)).status_code == 401
        oauth_limited.get("/oauth/authorize", query_string=client.asks(), **address(number))
    assert oauth_limited.post("/oauth/token", data={"grant_type": "client_credentials", **client.proof}, **address(9)).status_code == 200


@both_back_ends
@pytest.mark.requirement("DEV-018")
def test_a_device_may_wait_for_as_long_as_its_code_lasts(open_gateway, clock):
    gateway = open_gateway()
    limited = open_gateway(RATE_LIMIT_OAUTH_MAX="3", RATE_LIMIT_OAUTH_WINDOW="900")
    asking = device(limited, device_client(gateway))
    for _ in range(119):
        assert asking.hears() == "authorization_pending"
        clock.advance(5)
    assert asks(limited, asking.client).status_code == 200  # and all that time nothing was used up


@both_back_ends
@pytest.mark.requirement("DEV-018")
@pytest.mark.parametrize("spoilt", ["too fast", "a wrong code"])
def test_a_poll_that_comes_too_early_or_asks_in_vain_is_counted_as_any_request(oauth_limited, spoilt):
    asking = device(oauth_limited)  # one of three
    if spoilt == "too fast":
        assert [asking.hears() for _ in range(3)] == ["authorization_pending", "slow_down", "slow_down"]
    else:
        assert [asking.hears(device_code="x") for _ in range(2)] == ["invalid_grant"] * 2
    assert is_refused(asking.poll(), 600)
    assert is_refused(ask(oauth_limited), 600)


@both_back_ends
def test_a_client_whose_devices_are_too_fast_uses_its_own_limit_up(oauth_limited):
    asking = device(oauth_limited, device_client(oauth_limited, "a secret"))
    asking.hears()
    form = {"grant_type": DEVICE_CODE, "device_code": asking.answer["device_code"]} | asking.client.proof
    statuses = [oauth_limited.token(form, **address(number)).status_code for number in range(2, 7)]
    assert statuses == [400] * 2 + [429] * 3


@both_back_ends
def test_who_only_knows_the_id_of_a_public_client_cannot_use_its_limit_up_by_asking_for_codes(oauth_limited):
    client = device_client(oauth_limited)
    statuses = [oauth_limited.post("/oauth/device_authorization", data=client.proof, **address(number)).status_code for number in range(8)]
    assert statuses == [200] * 8
    assert [oauth_limited.post("/oauth/device_authorization", data=client.proof, **address(9)).status_code for _ in range(4)] == [200] * 3 + [429]


@both_back_ends
def test_a_client_with_a_secret_is_held_to_its_limit_for_codes_from_everywhere(oauth_limited):
    client = device_client(oauth_limited, "a secret")
    statuses = [oauth_limited.post("/oauth/device_authorization", data=client.proof, **address(number)).status_code for number in range(5)]
    assert statuses == [200] * 3 + [429] * 2


@both_back_ends
@pytest.mark.requirement("REG-032")
def test_registrations_are_counted(oauth_limited, registration):
    answers = [oauth_limited.post("/oauth/register", json=registration(), headers={"Authorization": f"Bearer {DCR_TOKEN}"}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [201] * 3 + [429] * 2


@pytest.mark.requirement("RL-001")
@both_back_ends
def test_a_refusal_is_no_outage_of_the_counter(oauth_limited):
    for _ in range(3):
        assert [ask(oauth_limited).status_code for _ in range(12)][-9:] == [429] * 9


@both_back_ends
@pytest.mark.requirement("RL-005")
def test_a_spent_limit_is_spent_for_every_worker(oauth_limited, mcp_limited, open_gateway):
    other = open_gateway(RATE_LIMIT_OAUTH_MAX="3", RATE_LIMIT_OAUTH_WINDOW="600", RATE_LIMIT_MCP_MAX="3")
    for _ in range(3):
        ask(oauth_limited)
        mcp_limited.mcp(headers=KEY)
    assert is_refused(ask(other), 600)
    assert is_refused(other.mcp(headers=KEY), 60)


@both_back_ends
@pytest.mark.requirement("RL-010")
def test_past_the_limit_mcp_answers_429_with_a_json_rpc_body_until_the_window_ends(mcp_limited, clock):
    clock.advance(60 - clock() % 60)
    assert [mcp_limited.mcp("ping", headers=KEY).status_code for _ in range(3)] == [200] * 3
    response = mcp_limited.mcp("ping", headers=KEY)
    assert is_refused(response, 60)
    assert response.json["jsonrpc"] == "2.0"
    assert response.json["error"]["code"] == -32000
    clock.advance(60)
    assert mcp_limited.mcp("ping", headers=KEY).status_code == 200


@both_back_ends
@pytest.mark.requirement("RL-004")
def test_each_client_has_a_limit_of_its_own_at_mcp(mcp_limited):
    first, second = (mcp_limited.tokens(mcp_limited.register())["access_token"] for _ in range(2))
    assert [mcp_limited.mcp(token=first).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert mcp_limited.mcp(token=second).status_code == 200
    assert mcp_limited.mcp(headers=KEY).status_code == 200


@both_back_ends
@pytest.mark.requirement("MCP-033")
@pytest.mark.parametrize(("kwargs", "status"), [({}, 200), ({"token": "wrong"}, 401), ({"headers": {"X-API-Key": "wrong"}}, 401)])
def test_who_comes_without_a_token_or_guesses_is_counted_by_address(mcp_limited, kwargs, status):
    assert [mcp_limited.mcp("ping", **kwargs, **address(1)).status_code for _ in range(4)] == [status] * 3 + [429]
    assert mcp_limited.mcp("ping", **kwargs, **address(2)).status_code == status
    assert mcp_limited.mcp("ping", headers=KEY, **address(1)).status_code == 200


def test_a_batch_is_as_many_requests_as_it_has_messages(mcp_limited):
    batch = [{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(5)]
    assert mcp_limited.mcp(batch, headers=KEY).status_code == 429
    assert mcp_limited.mcp("ping", headers=KEY).status_code == 429


@pytest.mark.requirement("RL-002")
@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "Forwarded", "X-Client-IP",
    "X-Cluster-Client-IP"])
def test_a_header_of_a_peer_that_is_not_trusted_makes_nobody_somebody_else(oauth_limited, mcp_limited, header):
    def headers(number):
        return {header: f"for=203.0.113.{number}" if header == "Forwarded" else f"203.0.113.{number}"}

    assert [ask(oauth_limited, client_id=f"c{number}", headers=headers(number),
        **address(1)).status_code for number in range(5)] == [401] * 3 + [429] * 2
    assert [mcp_limited.mcp("ping", headers=headers(number), **address(1)).status_code for number in range(4)] == [200] * 3 + [429]


@pytest.mark.requirement("RL-003")
@pytest.mark.parametrize("header", ["X-Forwarded-For", "CF-Connecting-IP"])
def test_a_trusted_proxy_says_who_it_is(mcp_limited, header):
    def ask_from(client, spoofed=""):
        return mcp_limited.mcp("ping", headers={header: f"{spoofed}{client}"}).status_code

    assert [ask_from("203.0.113.1") for _ in range(4)] == [200] * 3 + [429]
    assert ask_from("203.0.113.2") == 200
    if header == "X-Forwarded-For":
        assert ask_from("203.0.113.1", spoofed="203.0.113.77, ") == 429


@pytest.mark.requirement("RL-009")
def test_all_addresses_of_one_ipv6_network_are_one(mcp_limited):
    def ask_from(client):
        return mcp_limited.mcp("ping", environ_overrides={"REMOTE_ADDR": client}).status_code

    assert [ask_from(f"2001:db8:1:2::{number:x}") for number in range(1, 5)] == [200] * 3 + [429]
    assert ask_from("2001:db8:1:2:ffff:ffff:ffff:ffff") == 429
    assert ask_from("2001:db8:1:3::1") == 200


@pytest.mark.parametrize("back_end", ["redis"], indirect=True)
@pytest.mark.requirement("RL-006")
def test_while_redis_is_down_each_worker_counts_for_itself(open_gateway, gateway, registration):
    dead = open_gateway(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0", RATE_LIMIT_OAUTH_MAX="3", RATE_LIMIT_MCP_MAX="3")
    statuses = [dead.post("/oauth/register", json=registration(), headers={"Authorization": f"Bearer {DCR_TOKEN}"}).status_code for _ in range(5)]
    assert statuses == [201] * 3 + [429] * 2
    assert [dead.mcp("ping", headers=KEY).status_code for _ in range(5)] == [200] * 3 + [429] * 2


@pytest.mark.requirement("RL-008")
def test_what_a_worker_counts_for_itself_never_grows_without_end():
    counter = LocalCounter()
    assert [counter.hit("one", 60, 0.0)[0] for _ in range(3)] == [1, 2, 3]
    for number in range(100_000):
        counter.hit(f"caller {number}", 60, 0.0)
    assert len(counter._hits) <= LocalCounter.MOST_CALLERS


@pytest.mark.requirement("RL-007")
def test_health_and_metadata_stay_reachable(oauth_limited, mcp_limited):
    for gateway in (oauth_limited, mcp_limited):
        for path in ("/health", "/health/live", "/health/ready", "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource"):
            assert [gateway.get(path).status_code for _ in range(6)] == [200] * 6


@both_back_ends
def test_passwords_can_be_tried_a_few_times_a_minute(gateway):
    browser = Browser(gateway)
    fields = hidden_fields(browser.get("/login")) | {"username": "ada", "password": "wrong"}
    assert [browser.post("/login", fields).status_code for _ in range(SIGN_INS.most + 2)] == [401] * SIGN_INS.most + [429] * 2
    refused = browser.post("/login", fields)
    assert is_refused(refused, SIGN_INS.window)
    assert refused.mimetype == "text/html"
    assert browser.get("/login").status_code == 200
    assert browser.http.post("/login", data=fields, base_url=ISSUER, **address(9)).status_code == 401


def test_a_limit_of_nought_is_none(gateway):
    assert {ask(gateway).status_code for _ in range(150)} == {401}
    assert {gateway.mcp("ping", headers=KEY).status_code for _ in range(100)} == {200}
