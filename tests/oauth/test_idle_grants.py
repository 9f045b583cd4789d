"""A grant that is not used ends, each use begins its idle time anew, and nothing moves its absolute end (ASVS 10.4.8)."""

from __future__ import annotations

import pytest

from tests.gateway import both_back_ends

pytestmark = both_back_ends
IDLE, ABSOLUTE, ACCESS = 1000, 2500, 100


@pytest.fixture
def gateway(open_gateway):
    opened = open_gateway(REFRESH_TOKEN_IDLE_LIFETIME=str(IDLE), REFRESH_TOKEN_LIFETIME=str(ABSOLUTE), ACCESS_TOKEN_LIFETIME=str(ACCESS))
    opened.add_user()
    return opened


@pytest.fixture
def introspect(gateway, client):
    return lambda token: gateway.post("/oauth/introspect", data={"token": token} | client.proof).json


def is_over(response):
    return (response.status_code, response.json["error"]) == (400, "invalid_grant")


@pytest.mark.requirement("REF-021")
def test_a_refresh_token_that_was_not_used_for_too_long_is_dead_and_its_grant_is_not_listed(*, gateway, client, flow, introspect, clock):
    tokens = flow()
    clock.advance(IDLE - 1)
    assert introspect(tokens["refresh_token"])["active"] is True
    assert len(gateway.services.grants.all(clock())) == 1
    clock.advance(1)
    assert introspect(tokens["refresh_token"]) == {"active": False}
    assert is_over(gateway.refresh(client, tokens["refresh_token"]))
    assert gateway.services.grants.all(clock()) == []


def test_each_use_begins_the_idle_time_anew_and_introspection_follows_until_the_absolute_end(*, gateway, client, flow, introspect, clock):
    began, tokens = clock(), flow()
    assert introspect(tokens["refresh_token"])["exp"] == int(began + IDLE)
    for _ in range(2):
        clock.advance(IDLE - 1)
        tokens = gateway.refresh(client, tokens["refresh_token"]).json
        assert introspect(tokens["refresh_token"])["exp"] == int(min(clock() + IDLE, began + ABSOLUTE))
    clock.advance(began + ABSOLUTE - clock() - 1)
    assert introspect(tokens["refresh_token"])["active"] is True
    clock.advance(1)
    assert introspect(tokens["refresh_token"]) == {"active": False}
    assert is_over(gateway.refresh(client, tokens["refresh_token"]))


def test_redeeming_the_code_is_a_use_and_the_refresh_token_ends_with_its_grant(gateway, client, clock):
    approved = clock()
    code = gateway.code(client)
    clock.advance(500)
    token = gateway.token(client.redeems(code)).json["refresh_token"]
    [grant] = gateway.services.grants.all(clock())
    stored = gateway.services.state.refresh_tokens.find(gateway.services.digests.digest("refresh", token), clock())
    assert (grant.last_used_at, grant.expires_at) == (clock(), clock() + IDLE)
    assert grant.ends_at == stored.expires_at == approved + ABSOLUTE


def test_no_access_token_outlives_its_grant(gateway, client, flow, clock):
    began, tokens = clock(), flow()
    for _ in range(2):
        clock.advance(900)
        tokens = gateway.refresh(client, tokens["refresh_token"]).json
    assert tokens["expires_in"] == ACCESS
    clock.advance(began + ABSOLUTE - clock() - 40)
    last = gateway.refresh(client, tokens["refresh_token"]).json
    assert 38 <= last["expires_in"] <= 40
    assert gateway.services.access_tokens.read(last["access_token"])["exp"] <= began + ABSOLUTE
    assert gateway.opens(last["access_token"])


def test_a_copy_of_a_token_that_was_used_up_long_ago_still_ends_the_family(gateway, client, flow, clock):
    first = flow()
    second = gateway.refresh(client, first["refresh_token"]).json
    clock.advance(900)
    third = gateway.refresh(client, second["refresh_token"]).json
    clock.advance(900)
    assert is_over(gateway.refresh(client, first["refresh_token"]))
    assert is_over(gateway.refresh(client, third["refresh_token"]))


def test_zero_leaves_the_absolute_end_alone(open_gateway, clock):
    gateway = open_gateway(REFRESH_TOKEN_IDLE_LIFETIME="0", REFRESH_TOKEN_LIFETIME=str(ABSOLUTE), ACCESS_TOKEN_LIFETIME=str(ACCESS))
    gateway.add_user()
    client = gateway.register()
    tokens = gateway.tokens(client)
    clock.advance(ABSOLUTE - 1)
    assert gateway.refresh(client, tokens["refresh_token"]).status_code == 200


def test_a_client_without_refresh_tokens_is_granted_no_more_than_its_access_token_needs(gateway, clock):
    client = gateway.add_client("a secret of some length", grant_types=("authorization_code",))
    assert "refresh_token" not in gateway.tokens(client)
    [grant] = gateway.services.grants.all(clock())
    assert grant.ends_at == clock() + 600 + ACCESS + 30


def test_a_grant_of_the_release_before_goes_on_and_ends_when_it_had_to(gateway, client, flow, clock):
    tokens, grants = flow(), gateway.services.grants
    [grant] = grants.all(clock())
    grants.add(type(grant)(grant.grant_id, grant.client_id, grant.subject, grant.scope, grant.resource, grant.created_at, grant.created_at + 2000))
    clock.advance(1500)
    tokens = gateway.refresh(client, tokens["refresh_token"]).json
    clock.advance(499)
    tokens = gateway.refresh(client, tokens["refresh_token"]).json
    clock.advance(1)
    assert is_over(gateway.refresh(client, tokens["refresh_token"]))
