"""Every refresh rotates the token; a copy that is used ends the grant (OAuth 2.1 §4.3)."""

from __future__ import annotations

import pytest

from tests.gateway import BOTH_SCOPES, both_back_ends

pytestmark = both_back_ends


@pytest.fixture
def strict(open_gateway):
    """A gateway without any grace."""
    opened = open_gateway(REFRESH_REUSE_GRACE="0")
    opened.add_user()
    return opened


def refused(response, error="invalid_grant", status=400):
    assert (response.status_code, response.json["error"]) == (status, error), response.text
    assert "access_token" not in response.json
    return True


@pytest.mark.requirement("REF-001")
def test_a_refresh_gives_another_access_token_and_another_refresh_token(gateway, client, flow):
    tokens = flow()
    response = gateway.refresh(client, tokens["refresh_token"])
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json["scope"] == BOTH_SCOPES
    assert response.json["expires_in"] == 3600
    assert len({tokens["access_token"], tokens["refresh_token"], response.json["access_token"], response.json["refresh_token"]}) == 4
    assert gateway.opens(response.json["access_token"])


@pytest.mark.requirement("REF-002")
@pytest.mark.requirement("REF-003")
def test_the_old_token_after_the_new_one_was_used_ends_the_whole_family(gateway, client, flow):
    first = flow()
    second = gateway.refresh(client, first["refresh_token"]).json
    third = gateway.refresh(client, second["refresh_token"]).json
    assert refused(gateway.refresh(client, first["refresh_token"]))
    for tokens in (first, second, third):
        assert not gateway.opens(tokens["access_token"])
        assert refused(gateway.refresh(client, tokens["refresh_token"]))


@pytest.mark.requirement("REF-020")
def test_inside_the_grace_a_repeat_kills_the_unused_successor_and_goes_on(gateway, client, flow, clock):
    first = flow()
    lost = gateway.refresh(client, first["refresh_token"]).json
    clock.advance(59)
    second = gateway.refresh(client, first["refresh_token"])
    assert second.status_code == 200
    third = gateway.refresh(client, second.json["refresh_token"])
    assert third.status_code == 200
    assert gateway.opens(third.json["access_token"])
    assert refused(gateway.refresh(client, lost["refresh_token"]))  # the branch that was cut: whoever uses it has a copy
    assert not gateway.opens(third.json["access_token"])


def test_there_is_at_most_one_live_branch_however_often_a_refresh_is_repeated(gateway, client, flow):
    first = flow()
    branches = [gateway.refresh(client, first["refresh_token"]).json["refresh_token"] for _ in range(5)]
    assert gateway.refresh(client, branches[-1]).status_code == 200
    for branch in branches[:-1]:
        assert refused(gateway.refresh(client, branch))


def test_beyond_the_grace_a_repeat_ends_the_family(gateway, client, flow, clock):
    first = flow()
    second = gateway.refresh(client, first["refresh_token"]).json
    clock.advance(61)
    assert refused(gateway.refresh(client, first["refresh_token"]))
    assert refused(gateway.refresh(client, second["refresh_token"]))
    assert not gateway.opens(second["access_token"])


@pytest.mark.requirement("REF-013")
def test_without_grace_even_a_repeat_in_the_same_moment_ends_the_family(strict):
    client = strict.register()
    first = strict.tokens(client)
    second = strict.refresh(client, first["refresh_token"]).json
    third = strict.refresh(client, second["refresh_token"]).json
    assert refused(strict.refresh(client, second["refresh_token"]))
    assert refused(strict.refresh(client, first["refresh_token"]))
    assert refused(strict.refresh(client, third["refresh_token"]))
    assert not strict.opens(third["access_token"])


def test_a_family_that_a_reuse_ended_stays_ended_for_as_long_as_it_would_have_lived(open_gateway, clock):
    gateway = open_gateway(REFRESH_REUSE_GRACE="0", REFRESH_TOKEN_LIFETIME="60")
    gateway.add_user()
    client = gateway.register()
    first = gateway.tokens(client)
    clock.advance(50)
    second = gateway.refresh(client, first["refresh_token"]).json
    assert refused(gateway.refresh(client, first["refresh_token"]))
    for _ in range(4):
        assert not gateway.opens(second["access_token"])
        clock.advance(900)


@pytest.mark.requirement("REF-014")
def test_a_rotated_token_is_dead_after_a_restart_too(gateway, client, flow, open_gateway):
    first = flow()
    second = gateway.refresh(client, first["refresh_token"]).json
    gateway.refresh(client, second["refresh_token"])
    restarted = open_gateway()
    assert refused(restarted.refresh(client, first["refresh_token"]))
    assert not restarted.opens(second["access_token"])


@pytest.mark.requirement("REF-005")
@pytest.mark.parametrize("change", [{"client_secret": None}, {"client_secret": "wrong"}, {"client_id": "nobody"},
    {"client_id": None, "client_secret": None}])
def test_without_the_clients_proof_nothing_is_refreshed_and_nothing_is_used_up(gateway, client, flow, change):
    tokens = flow()
    assert refused(gateway.refresh(client, tokens["refresh_token"], **change), "invalid_client", 401)
    assert gateway.refresh(client, tokens["refresh_token"]).status_code == 200


@pytest.mark.requirement("REF-019")
def test_reuse_by_another_client_ends_nothing(strict):
    owner, thief = strict.register(), strict.register()
    public = strict.register(token_endpoint_auth_method="none")
    first = strict.tokens(owner)
    assert refused(strict.refresh(thief, first["refresh_token"]))
    second = strict.refresh(owner, first["refresh_token"]).json
    for other in (thief, public):
        for tokens in (first, second):
            assert refused(strict.refresh(other, tokens["refresh_token"]))
    assert refused(strict.refresh(owner, first["refresh_token"], client_secret="wrong"), "invalid_client", 401)
    assert strict.opens(second["access_token"])
    assert strict.refresh(owner, second["refresh_token"]).status_code == 200


@pytest.mark.requirement("REF-006")
@pytest.mark.parametrize("scope", [BOTH_SCOPES, "tools:execute", "tools:admin", "tools:read tools:execute openid", "x"])
def test_a_wider_scope_is_refused_and_uses_nothing_up(gateway, client, flow, scope):
    tokens = flow(scope="tools:read")
    assert refused(gateway.refresh(client, tokens["refresh_token"], scope=scope), "invalid_scope")
    assert gateway.refresh(client, tokens["refresh_token"]).json["scope"] == "tools:read"


@pytest.mark.requirement("REF-007")
@pytest.mark.parametrize("narrow", ["tools:read", "tools:read openid", ",tools:read,"])
def test_a_narrower_scope_narrows_the_access_token_and_not_the_grant(gateway, client, flow, narrow):
    narrowed = gateway.refresh(client, flow()["refresh_token"], scope=narrow).json
    assert narrowed["scope"] == "tools:read"
    assert gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "x"}}},
                       narrowed["access_token"]).status_code == 403
    assert gateway.refresh(client, narrowed["refresh_token"]).json["scope"] == BOTH_SCOPES


def test_the_resource_may_be_repeated_and_not_changed(gateway, client, flow):
    tokens = flow()
    assert refused(gateway.refresh(client, tokens["refresh_token"], resource="https://elsewhere.test/"), "invalid_target")
    assert gateway.refresh(client, tokens["refresh_token"], resource=gateway.settings.resource).status_code == 200


@pytest.mark.requirement("REF-009")
@pytest.mark.requirement("REF-010")
def test_a_token_that_is_not_quite_the_token_is_refused(gateway, client, flow):
    tokens = flow()
    token = tokens["refresh_token"]
    for spoilt in (tokens["access_token"], gateway.code(client), token[:-1], token + "x", token.swapcase(), token[::-1], token + "\0", f" {token}",
        f"{token} ",
                   "eyJhbGciOiJub25lIn0.e30.", "x" * 3_000, "x" * 60_000, "é", "", None, "null", "*"):
        assert gateway.refresh(client, token, refresh_token=spoilt).json["error"] in ("invalid_grant", "invalid_request"), spoilt
    assert gateway.refresh(client, token).status_code == 200


@pytest.mark.requirement("REF-015")
def test_refreshing_does_not_move_the_end_of_the_grant(open_gateway, clock):
    gateway = open_gateway(REFRESH_TOKEN_LIFETIME="1000", ACCESS_TOKEN_LIFETIME="100")
    gateway.add_user()
    client = gateway.register()
    tokens = gateway.tokens(client)
    for _ in range(3):
        clock.advance(300)
        tokens = gateway.refresh(client, tokens["refresh_token"]).json
    clock.advance(101)
    assert refused(gateway.refresh(client, tokens["refresh_token"]))


def test_a_person_who_is_gone_ends_the_refreshing(gateway, client, flow):
    tokens = flow()
    gateway.services.users.remove("ada")
    assert refused(gateway.refresh(client, tokens["refresh_token"]))
