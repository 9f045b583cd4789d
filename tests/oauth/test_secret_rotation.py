"""JWT_SECRET is changed while the previous one is named: whatever was made under it keeps working."""

from __future__ import annotations

import pytest

from mcp_server.oauth.models import InitialAccessToken
from tests.gateway import JWT_SECRET, OTHER_JWT_SECRET, Browser, both_back_ends, query_of

pytestmark = [both_back_ends, pytest.mark.requirement("F61")]


@pytest.fixture
def rotated(open_gateway):
    """Asked for at the moment of the rotation."""
    return lambda: open_gateway(JWT_SECRET=OTHER_JWT_SECRET, JWT_SECRET_PREVIOUS=JWT_SECRET)


def test_access_tokens_and_refresh_tokens_keep_working(gateway, client, flow, rotated):
    tokens = flow()
    after = rotated()
    assert after.opens(tokens["access_token"])
    refreshed = after.refresh(client, tokens["refresh_token"]).json
    assert after.opens(refreshed["access_token"])
    assert after.refresh(client, refreshed["refresh_token"]).status_code == 200
    assert after.refresh(client, tokens["refresh_token"]).json["error"] == "invalid_grant"
    assert not after.opens(refreshed["access_token"])


def test_a_code_keeps_working_and_its_replay_is_still_seen(gateway, client, rotated):
    code = gateway.code(client)
    after = rotated()
    tokens = after.token(client.redeems(code)).json
    assert after.token(client.redeems(code)).json["error"] == "invalid_grant"
    assert not after.opens(tokens["access_token"])


def test_revocations_reach_tokens_of_the_previous_secret(gateway, client, flow, rotated):
    tokens = flow()
    after = rotated()
    assert after.revoke({"token": tokens["refresh_token"]} | client.proof).status_code == 200
    assert not after.opens(tokens["access_token"])


def test_client_secrets_keep_working_and_their_digests_are_renewed(gateway, client, rotated, open_gateway):
    before = gateway.services.clients.find(client.client_id).client_secret_digests
    after = rotated()
    assert after.token(client.proof | {"grant_type": "refresh_token", "refresh_token": "x"}).json["error"] == "invalid_grant"
    renewed = after.services.clients.find(client.client_id).client_secret_digests
    assert len(renewed) == len(before) == 1
    assert renewed != before
    later = open_gateway(JWT_SECRET=OTHER_JWT_SECRET)
    assert later.token(client.proof | {"grant_type": "refresh_token", "refresh_token": "x"}).json["error"] == "invalid_grant"


def test_a_wrong_secret_renews_nothing(gateway, client, rotated):
    before = gateway.services.clients.find(client.client_id)
    assert rotated().token(client.refreshes("x", client_secret="wrong")).status_code == 401
    assert gateway.services.clients.find(client.client_id) == before


def test_a_person_stays_signed_in_and_a_page_that_is_open_can_be_answered(gateway, client, browser, rotated):
    page = browser.consent_page(client.asks())
    after = rotated()
    same_person = Browser(after)
    same_person.cookie = browser.cookie
    assert "You are signed in" in same_person.get("/logout").text
    answer = query_of(same_person.decide(page).location)
    assert after.token(client.redeems(answer["code"])).status_code == 200


def test_minted_registration_tokens_keep_working(gateway, rotated, registration, clock):
    gateway.services.initial_access_tokens.add(InitialAccessToken("1", "team", gateway.services.digests.digest("initial", "minted"), clock()))
    assert rotated().post("/register", json=registration(), headers={"Authorization": "Bearer minted"}).status_code == 201


def test_without_the_previous_secret_nothing_of_it_works(gateway, client, flow, browser, open_gateway):
    tokens, code = flow(), gateway.code(client)
    browser.sign_in()
    after = open_gateway(JWT_SECRET=OTHER_JWT_SECRET)
    assert not after.opens(tokens["access_token"])
    assert after.token(client.redeems(code)).status_code == 401
    other = after.register()
    assert after.refresh(other, tokens["refresh_token"]).json["error"] == "invalid_grant"
    stranger = Browser(after)
    stranger.cookie = browser.cookie
    assert "You are signed out" in stranger.get("/logout").text
