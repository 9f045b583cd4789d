"""Who may register."""

from __future__ import annotations

import pytest

from mcp_server.oauth.models import InitialAccessToken
from tests.gateway import DCR_TOKEN


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
