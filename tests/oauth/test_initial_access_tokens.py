"""Who may register."""

from __future__ import annotations

import pytest

from mcp_server.oauth.models import InitialAccessToken
from tests.gateway import DCR_TOKEN, both_back_ends


@pytest.fixture
def register(gateway, registration):
    return lambda headers=None, **changes: gateway.post("/oauth/register", json=registration(**changes), headers=headers or {})


@pytest.mark.requirement("REG-001")
def test_without_a_token_nobody_registers(gateway, register):
    response = register()
    assert (response.status_code, response.json["error"]) == (401, "invalid_token")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert gateway.services.clients.all() == []


@pytest.mark.parametrize("authorization", [f"Bearer {DCR_TOKEN}", f"bearer {DCR_TOKEN}", f"Bearer  {DCR_TOKEN} ", DCR_TOKEN])
def test_the_token_is_accepted_after_bearer_and_alone(register, authorization):
    assert register({"Authorization": authorization}).status_code == 201


def test_a_former_token_registers_too_until_it_is_taken_out(open_gateway, registration):
    former = "Qx7cVb1nMl4kJh8gFd2sAp6oIu3yTr9e"
    for previous, expected in ((f"{former},{former[::-1]}", 201), ("", 401)):
        gateway = open_gateway(DCR_AUTH_TOKEN_PREVIOUS=previous)
        for token in (former, former[::-1]):
            answer = gateway.post("/oauth/register", json=registration(), headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == expected
        assert gateway.post("/oauth/register", json=registration(), headers={"Authorization": f"Bearer {DCR_TOKEN}"}).status_code == 201


def test_the_token_is_accepted_in_the_body_as_servicenow_sends_it(register):
    response = register(token_value=DCR_TOKEN, use_pkce=True)
    assert response.status_code == 201
    assert DCR_TOKEN not in response.text


@pytest.mark.requirement("REG-002")
@pytest.mark.requirement("ERR-004")
@pytest.mark.parametrize("authorization", [
    "", "Bearer", "Bearer ", f"Bearer {DCR_TOKEN[:-1]}", f"Bearer {DCR_TOKEN}x", f"Bearer {DCR_TOKEN[:9]} {DCR_TOKEN[9:]}",
    f"Bearer {DCR_TOKEN.upper()}", f"Bearer {DCR_TOKEN}\u00a0", f"Bearer,{DCR_TOKEN}", f"BearerX {DCR_TOKEN}", f"Basic {DCR_TOKEN}",
    f"Bearer {'x' * 6_000}", "Bearer \x80\xff", "Bearer é", f"Bearer {DCR_TOKEN}, Bearer {DCR_TOKEN}", "Bearer null", "Bearer *",
    f'Bearer "{DCR_TOKEN}"'])
def test_a_token_that_is_nearly_right_is_refused(gateway, register, authorization):
    response = register({"Authorization": authorization})
    assert response.status_code == 401
    assert "client_id" not in response.text
    assert DCR_TOKEN not in response.text
    assert gateway.services.clients.all() == []


@pytest.mark.requirement("REG-002")
@pytest.mark.parametrize("value", ["", "x", 5, None, True, ["x"], {"a": DCR_TOKEN}, [DCR_TOKEN], DCR_TOKEN + "\n", "é" * 40])
def test_a_wrong_token_in_the_body_is_refused(register, value):
    assert register(token_value=value).status_code == 401


def test_the_header_counts_before_the_body(register):
    assert register({"Authorization": "Bearer wrong"}, token_value=DCR_TOKEN).status_code == 401


@pytest.mark.requirement("REG-028")
@pytest.mark.parametrize("name", ["access_token", "token_value", "token", "Authorization"])
def test_a_token_in_the_query_string_counts_for_nothing(gateway, registration, name):
    assert gateway.post("/oauth/register", json=registration(), query_string={name: DCR_TOKEN}).status_code == 401


@pytest.mark.parametrize(("mode", "header", "status", "error"), [
    ("open", {}, 201, None), ("open", {"Authorization": "Bearer wrong"}, 201, None),
    ("off", {"Authorization": f"Bearer {DCR_TOKEN}"}, 403, "access_denied"), ("off", {}, 403, "access_denied")])
def test_the_mode_opens_registration_to_all_or_to_nobody(*, open_gateway, registration, mode, header, status, error):
    gateway = open_gateway(DCR_MODE=mode)
    response = gateway.post("/oauth/register", json=registration(), headers=header)
    assert (response.status_code, response.json.get("error")) == (status, error)
    metadata = gateway.get("/.well-known/oauth-authorization-server").json
    assert ("registration_endpoint" in metadata) == (mode == "open")


@pytest.fixture
def mint(gateway, clock):
    def mint(secret, **changes):
        digest = gateway.services.digests.digest("initial", secret)
        gateway.services.initial_access_tokens.add(InitialAccessToken(**{"token_id": secret, "name": "team", "token_digest": digest,
                                                                         "created_at": clock(), **changes}))
        return {"Authorization": f"Bearer {secret}"}

    return mint


def test_a_minted_token_is_counted_down(register, mint):
    header = mint("minted-1", uses_left=2)
    assert [register(header).status_code for _ in range(3)] == [201, 201, 401]


def test_a_registration_that_fails_costs_no_use(register, mint):
    header = mint("minted-1", uses_left=1)
    assert register(header, redirect_uris=["https://elsewhere.test/"]).status_code == 400
    assert register(header, client_name={"a": 1}).status_code == 400
    assert register(header).status_code == 201


def test_a_minted_token_ends_with_its_time(register, mint, clock):
    header = mint("minted-1", expires_at=clock() + 60)
    assert register(header).status_code == 201
    clock.advance(61)
    assert register(header).status_code == 401


def test_a_minted_token_works_in_the_body_too(register, mint):
    mint("minted-1", uses_left=1)
    assert register(token_value="minted-1").status_code == 201
    assert register(token_value="minted-1").status_code == 401


ACME = "https://acme.service-now.com"
"""An instance that DCR_ALLOWED_REDIRECT_HOSTS does not have."""


def test_the_client_remembers_which_token_registered_it(gateway, register, mint):
    client_id = register(mint("minted-1")).json["client_id"]
    assert gateway.services.clients.find(client_id).registered_with == "minted-1"
    client_id = register({"Authorization": f"Bearer {DCR_TOKEN}"}).json["client_id"]
    assert gateway.services.clients.find(client_id).registered_with is None


def test_a_token_for_an_instance_registers_that_instance(register, mint):
    header = mint("minted-1", instance=ACME)
    assert register(header, redirect_uris=[f"{ACME}/oauth_redirect.do", f"{ACME}/mcp_redirect.do"]).status_code == 201
    assert register(header, redirect_uris=["https://ACME.service-now.com:443/oauth_redirect.do"]).status_code == 201


@pytest.mark.parametrize("redirect_uri", [
    "https://dev12345.service-now.com/oauth_redirect.do", "http://127.0.0.1/callback", "http://localhost/callback",
    "http://acme.service-now.com/oauth_redirect.do", f"{ACME}:8443/oauth_redirect.do", f"{ACME}.evil.test/oauth_redirect.do",
    f"{ACME}@evil.test/", "https://evil.test/acme.service-now.com", "https://x.acme.service-now.com/", f"{ACME}./oauth_redirect.do",
    "https://evil.test\\@acme.service-now.com/"])
@pytest.mark.parametrize("others", [[], [f"{ACME}/oauth_redirect.do"]])
def test_a_token_for_an_instance_registers_no_other_host(gateway, register, mint, redirect_uri, others):
    header = mint("minted-1", instance=ACME, uses_left=1)
    refused = register(header, redirect_uris=[*others, redirect_uri])
    assert (refused.status_code, refused.json["error"]) == (400, "invalid_redirect_uri")
    assert gateway.services.clients.all() == []
    assert gateway.services.initial_access_tokens.all()[0].uses_left == 1


def test_the_refusal_names_the_instance_and_what_to_ask_the_operator_for(register, mint):
    text = register(mint("minted-1", instance=ACME)).json["error_description"]
    for said in (ACME, "https://dev12345.service-now.com", "ask the operator", "registration-tokens mint --instance"):
        assert said in text


def test_a_failure_nobody_foresaw_costs_no_use(gateway, register, mint, monkeypatch):
    header = mint("minted-1", uses_left=1)

    def fail(_):
        raise ValueError("taken")

    with monkeypatch.context() as patched:
        patched.setattr(gateway.services.clients, "add", fail)
        assert register(header).status_code == 500
    assert register(header).status_code == 201


@both_back_ends
def test_a_flood_with_one_good_token_from_many_addresses_is_bounded_and_costs_no_uses(open_gateway, registration, clock):
    gateway = open_gateway(RATE_LIMIT_OAUTH_MAX="3", RATE_LIMIT_OAUTH_WINDOW="600")
    for name in ("one", "two"):
        digest = gateway.services.digests.digest("initial", name)
        gateway.services.initial_access_tokens.add(InitialAccessToken(name, name, digest, clock(), uses_left=9))

    def register(number, *, token, in_body=False):
        given = {"json": registration(token_value=token)} if in_body else {
            "json": registration(), "headers": {"Authorization": f"Bearer {token}"}}
        return gateway.post("/oauth/register", environ_overrides={"REMOTE_ADDR": f"198.51.100.{number}"}, **given)

    answers = [register(number, token="one", in_body=number % 2 == 1) for number in range(5)]
    assert [answer.status_code for answer in answers] == [201] * 3 + [429] * 2
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 601
    assert answers[-1].json["error"] == "too_many_requests"
    assert {token.name: token.uses_left for token in gateway.services.initial_access_tokens.all()} == {"one": 6, "two": 9}
    assert register(9, token="two").status_code == 201
