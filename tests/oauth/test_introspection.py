"""The introspection endpoint (RFC 7662): an active token is described to its own client, about any other nothing is said."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest

from mcp_server.errors import StoreUnavailable
from tests.gateway import BOTH_SCOPES, INSTANCE, ISSUER, JWT_SECRET, OTHER_JWT_SECRET, USERNAME, basic, both_back_ends

INACTIVE = {"active": False}


@pytest.fixture
def introspect(gateway, client):
    def introspect(token, proof=None, at=None, **kwargs):
        response = (at or gateway).post("/oauth/introspect", data={"token": token} | (client.proof if proof is None else proof), **kwargs)
        assert response.status_code == 200, response.text
        assert response.headers["Cache-Control"] == "no-store"
        return response.json

    return introspect


@pytest.fixture
def user_id(gateway):
    return gateway.services.users.find(USERNAME).user_id


@both_back_ends
def test_an_access_token_is_described_as_it_was_issued(*, gateway, client, flow, introspect, user_id, clock):
    token = flow()["access_token"]
    answer = introspect(token)
    jti = answer.pop("jti")
    now = int(clock())
    assert answer == {
        "active": True, "scope": BOTH_SCOPES, "client_id": client.client_id, "username": USERNAME, "token_type": "Bearer", "exp": now + 3600,
        "iat": now, "sub": user_id, "aud": f"{ISSUER}/mcp", "iss": ISSUER}
    assert jti == gateway.services.access_tokens.read(token)["jti"]


@both_back_ends
def test_a_refresh_token_is_described_and_cannot_be_taken_for_an_access_token(client, flow, introspect, user_id, clock):
    answer = introspect(flow()["refresh_token"])
    assert answer.pop("exp") == int(clock() + 1_209_600)
    assert answer == {
        "active": True, "scope": BOTH_SCOPES, "client_id": client.client_id, "username": USERNAME, "token_type": "refresh_token", "sub": user_id,
        "aud": ISSUER, "iss": ISSUER}


def test_a_token_without_a_person_has_no_username(gateway):
    client = gateway.add_client("a secret of some length", grant_types=("client_credentials",))
    token = gateway.token({"grant_type": "client_credentials"} | client.proof).json["access_token"]
    answer = gateway.post("/oauth/introspect", data={"token": token} | client.proof).json
    assert answer["active"] is True
    assert answer["sub"] == f"client:{client.client_id}"
    assert "username" not in answer


@pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "foo", "x" * 500])
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_hint_is_only_a_hint(flow, client, introspect, kind, hint):
    assert introspect(flow()[kind], client.proof | {"token_type_hint": hint})["active"] is True


def test_a_client_may_prove_itself_in_the_header_too(client, flow, introspect):
    assert introspect(flow()["access_token"], {}, headers=client.basic)["active"] is True


@pytest.mark.requirement("INT-003")
@pytest.mark.parametrize("token", ["unknown", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 20_000, "*", "' OR 1=1 --", " ", "..", "null",
                                   "e30.e30.e30"])
def test_of_an_unknown_token_nothing_is_said_but_that_it_is_not_active(introspect, token):
    assert introspect(token) == INACTIVE


@pytest.mark.requirement("INT-003")
def test_a_tampered_token_is_not_active(flow, introspect, open_gateway):
    tokens = flow()
    header, claims, signature = tokens["access_token"].split(".")
    for spoilt in (f"{header}.{claims}.", f"{header}.{claims}.{signature[::-1]}", f"{header}.{claims}", tokens["access_token"] + "A",
                   tokens["refresh_token"][:-1], tokens["refresh_token"] + "A"):
        assert introspect(spoilt) == INACTIVE
    assert introspect(tokens["access_token"])["active"] is True


def test_a_token_of_another_secret_is_not_active_and_one_of_the_previous_secret_is(flow, introspect, open_gateway):
    token = flow()["access_token"]
    after = open_gateway(JWT_SECRET=OTHER_JWT_SECRET, JWT_SECRET_PREVIOUS=JWT_SECRET)
    assert introspect(token, at=after)["active"] is True
    newcomer = open_gateway(JWT_SECRET=OTHER_JWT_SECRET).register()
    assert introspect(token, newcomer.proof, at=after) == INACTIVE


@both_back_ends
def test_an_expired_token_is_not_active_also_while_the_endpoint_still_forgives_clocks(gateway, flow, introspect, clock):
    tokens = flow()
    clock.advance(3_599)
    assert introspect(tokens["access_token"])["active"] is True
    clock.advance(1)
    assert introspect(tokens["access_token"]) == INACTIVE
    clock.advance(2_592_000)
    assert introspect(tokens["refresh_token"]) == INACTIVE


@both_back_ends
@pytest.mark.requirement("INT-003")
def test_a_revoked_access_token_is_not_active_and_its_refresh_token_stays(gateway, client, flow, introspect):
    tokens = flow()
    assert introspect(tokens["access_token"])["active"] is True
    gateway.revoke({"token": tokens["access_token"]} | client.proof)
    assert introspect(tokens["access_token"]) == INACTIVE
    assert introspect(tokens["refresh_token"])["active"] is True


@both_back_ends
@pytest.mark.requirement("INT-003")
def test_a_revoked_refresh_token_takes_its_access_token_with_it(gateway, client, flow, introspect, open_gateway):
    tokens, other = flow(), flow()
    gateway.revoke({"token": tokens["refresh_token"]} | client.proof)
    for at in (gateway, open_gateway()):
        assert [introspect(tokens[kind], at=at) for kind in ("access_token", "refresh_token")] == [INACTIVE, INACTIVE]
        assert introspect(other["access_token"], at=at)["active"] is True


@pytest.mark.parametrize("kind", ["client", "user"])
def test_what_an_operator_revokes_is_not_active(*, gateway, client, flow, introspect, user_id, clock, kind):
    tokens = flow()
    gateway.services.revocations.revoke((f"client:{client.client_id}" if kind == "client" else f"user:{user_id}",), clock() + 10_000)
    assert [introspect(tokens[each]) for each in ("access_token", "refresh_token")] == [INACTIVE, INACTIVE]


@both_back_ends
def test_a_rotated_refresh_token_and_a_branch_that_was_cut_are_not_active(gateway, client, flow, introspect):
    first = flow()["refresh_token"]
    cut = gateway.refresh(client, first).json["refresh_token"]
    assert introspect(first) == INACTIVE
    assert introspect(cut)["active"] is True
    live = gateway.refresh(client, first).json["refresh_token"]  # repeated within the grace
    assert introspect(cut) == INACTIVE
    assert introspect(live)["active"] is True


@pytest.mark.parametrize("change", ["disabled", "removed"])
def test_tokens_of_a_person_who_may_not_act_any_more_are_not_active(gateway, flow, introspect, change):
    tokens, users = flow(), gateway.services.users
    if change == "removed":
        users.remove(USERNAME)
    else:
        users.replace(replace(users.find(USERNAME), disabled=True))
    assert [introspect(tokens[kind]) for kind in ("access_token", "refresh_token")] == [INACTIVE, INACTIVE]


@both_back_ends
@pytest.mark.requirement("INT-004")
def test_another_clients_token_looks_like_an_unknown_one(gateway, flow, introspect):
    tokens, other = flow(), gateway.register()
    assert [introspect(tokens[kind], other.proof) for kind in ("access_token", "refresh_token")] == [INACTIVE, INACTIVE]


@pytest.mark.requirement("INT-001")
def test_who_does_not_prove_itself_learns_nothing(gateway, client, public_client, flow):
    tokens = flow()
    of_public = gateway.tokens(public_client)["access_token"]
    for token, proof, headers in (
        (tokens["access_token"], {}, {}), (tokens["access_token"], {"client_id": client.client_id}, {}),
        (tokens["access_token"], {"client_id": client.client_id, "client_secret": "wrong"}, {}),
        (tokens["access_token"], {"client_id": "nobody"}, {}),
        (tokens["access_token"], {}, basic(client.client_id, "wrong")),
        (tokens["access_token"], {}, {"Authorization": f"Bearer {tokens['access_token']}"}),
        (of_public, public_client.proof, {}), (of_public, public_client.proof | {"client_secret": "x"}, {})):
        response = gateway.post("/oauth/introspect", data={"token": token} | proof, headers=headers)
        assert (response.status_code, response.json["error"]) == (401, "invalid_client")
        assert "active" not in response.json


def test_a_failed_proof_is_audited(gateway, client, log):
    gateway.post("/oauth/introspect", data={"token": "x", "client_id": client.client_id, "client_secret": "wrong"})
    assert [line["client_id"] for line in log.audited("authentication_failed")] == [client.client_id]


@pytest.mark.requirement("INT-005")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_other_methods_than_post_are_refused(gateway, client, flow, method):
    response = gateway.send(method, "/oauth/introspect", query_string={"token": flow()["access_token"]} | client.proof)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


def test_only_a_form_counts_and_each_parameter_once(gateway, client, flow):
    token = flow()["access_token"]
    assert gateway.post("/oauth/introspect", json={"token": token} | client.proof).status_code == 415
    assert gateway.post("/oauth/introspect", query_string={"token": token}, data=client.proof).status_code == 400
    for form in ({}, {"token": ""}, {"token": ["a", "b"]}, {"token": "a\0b"}, {"token": "é"}):
        response = gateway.post("/oauth/introspect", data=form | client.proof)
        assert (response.status_code, response.json["error"]) == (400, "invalid_request")


def test_it_is_limited_with_the_other_oauth_endpoints(open_gateway):
    gateway = open_gateway(RATE_LIMIT_OAUTH_MAX="3")
    form = {"token": "x", "client_id": "x", "client_secret": "x"}
    assert [gateway.post("/oauth/introspect", data=form).status_code for _ in range(4)] == [401, 401, 401, 429]


def test_it_is_announced_with_the_methods_that_it_takes(gateway):
    metadata = gateway.get("/.well-known/oauth-authorization-server").json
    assert metadata["introspection_endpoint"] == f"{ISSUER}/oauth/introspect"
    assert metadata["introspection_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post", "private_key_jwt"]


@contextmanager
def out_of_order(store, name, monkeypatch):
    def unavailable(*_, **__):
        raise StoreUnavailable(detail="switched off by a test")

    with monkeypatch.context() as patch:
        patch.setattr(store, name, unavailable)
        yield


@pytest.mark.parametrize("part", ["ledger", "users", "refresh tokens", "clients"])
def test_a_store_that_does_not_answer_is_503_and_no_token_is_called_active(*, gateway, client, flow, introspect, monkeypatch, part):
    tokens = flow()
    endpoint = gateway.services.introspection
    stores = {"ledger": (endpoint._revocations._ledger, "any_revoked"), "users": (endpoint._users, "find_by_id"),
              "refresh tokens": (endpoint._refresh_tokens, "find"), "clients": (gateway.services.clients, "find")}
    token = tokens["refresh_token" if part == "refresh tokens" else "access_token"]
    with out_of_order(*stores[part], monkeypatch):
        response = gateway.post("/oauth/introspect", data={"token": token} | client.proof, headers={"Accept": "text/html", "Origin": INSTANCE})
    assert (response.status_code, response.json["error"]) == (503, "temporarily_unavailable")
    assert "active" not in response.json
    assert response.headers["Retry-After"]
    assert introspect(token)["active"] is True
