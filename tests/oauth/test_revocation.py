"""The revocation endpoint (RFC 7009)."""

from __future__ import annotations

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.gateway import basic, both_back_ends

pytestmark = both_back_ends


@pytest.mark.requirement("REV-002")
@pytest.mark.requirement("REV-003")
@pytest.mark.requirement("REV-012")
@pytest.mark.requirement("BRR-020")
def test_a_refresh_token_takes_the_whole_grant_with_it(gateway, client, flow):
    first, other = flow(), flow()
    second = gateway.refresh(client, first["refresh_token"]).json
    for _ in range(2):
        response = gateway.revoke({"token": second["refresh_token"]} | client.proof)
        assert (response.status_code, response.json) == (200, {})
    for tokens in (first, second):
        answer = gateway.mcp(token=tokens["access_token"])
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert gateway.refresh(client, tokens["refresh_token"]).json["error"] == "invalid_grant"
    assert gateway.opens(other["access_token"])


def test_an_access_token_is_revoked_alone(gateway, client, flow):
    tokens = flow()
    assert gateway.revoke({"token": tokens["access_token"]} | client.proof).status_code == 200
    assert not gateway.opens(tokens["access_token"])
    assert gateway.opens(gateway.refresh(client, tokens["refresh_token"]).json["access_token"])


def test_a_revoked_token_stays_revoked_until_it_would_have_ended_by_itself(open_gateway, clock):
    gateway = open_gateway(REFRESH_TOKEN_LIFETIME="100", ACCESS_TOKEN_LIFETIME="1000")
    gateway.add_user()
    client = gateway.register()
    first = gateway.tokens(client)
    clock.advance(99)
    second = gateway.refresh(client, first["refresh_token"]).json
    assert gateway.revoke({"token": second["refresh_token"]} | client.proof).status_code == 200
    for seconds in (0, 500, 499, 2, 20):
        clock.advance(seconds)
        assert not gateway.opens(second["access_token"])


@pytest.mark.requirement("REV-014")
def test_a_revocation_survives_a_restart(gateway, client, flow, open_gateway):
    tokens = flow()
    gateway.revoke({"token": tokens["access_token"]} | client.proof)
    assert not open_gateway().opens(tokens["access_token"])


@pytest.mark.requirement("REV-004")
@pytest.mark.parametrize("token", ["unknown", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 20_000, "*", "' OR 1=1 --", " ", "..", "null"])
def test_an_unknown_token_is_no_error(gateway, client, token):
    response = gateway.revoke({"token": token} | client.proof)
    assert (response.status_code, response.json) == (200, {})


@pytest.mark.requirement("REV-006")
def test_who_does_not_prove_itself_revokes_nothing(gateway, client, flow):
    tokens = flow()
    for proof, headers in (({}, {}), ({"client_id": client.client_id}, {}), ({"client_id": client.client_id, "client_secret": "wrong"}, {}),
                           ({"client_id": "nobody"}, {}), ({}, basic(client.client_id, "wrong")),
                           ({}, {"Authorization": f"Bearer {tokens['access_token']}"})):
        response = gateway.revoke({"token": tokens["access_token"]} | proof, headers=headers)
        assert (response.status_code, response.json["error"]) == (401, "invalid_client")
    assert gateway.opens(tokens["access_token"])


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_another_client_revokes_nothing(gateway, client, flow, kind):
    tokens, other = flow(), gateway.register()
    response = gateway.revoke({"token": tokens[kind]} | other.proof)
    assert (response.status_code, response.json["error"]) == (400, "invalid_grant")
    assert gateway.opens(tokens["access_token"])
    assert gateway.refresh(client, tokens["refresh_token"]).status_code == 200


def test_a_public_client_revokes_its_own(gateway, public_client):
    tokens = gateway.tokens(public_client)
    assert gateway.revoke({"token": tokens["refresh_token"]} | public_client.proof).status_code == 200
    assert not gateway.opens(tokens["access_token"])


def test_basic_does_too(gateway, client, flow):
    tokens = flow()
    assert gateway.revoke({"token": tokens["access_token"]}, headers=client.basic).status_code == 200
    assert not gateway.opens(tokens["access_token"])


@pytest.mark.requirement("REV-007")
@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token_type_hint": "access_token"}, {"token": "a\0b"}, {"token": "é"}])
def test_without_a_token_that_can_be_read_the_request_is_invalid(gateway, client, form):
    response = gateway.revoke(form | client.proof)
    assert (response.status_code, response.json["error"]) == (400, "invalid_request")


@pytest.mark.requirement("REV-008")
@pytest.mark.parametrize("hint", ["", "refresh_token", "access_token", "foo", "x" * 500])
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_hint_is_only_a_hint(gateway, client, flow, kind, hint):
    tokens = flow()
    assert gateway.revoke({"token": tokens[kind], "token_type_hint": hint} | client.proof).status_code == 200
    assert not gateway.opens(tokens["access_token"])


@pytest.mark.requirement("REV-010")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_other_methods_than_post_revoke_nothing(gateway, client, flow, method):
    tokens = flow()
    assert gateway.send(method, "/oauth/revoke", query_string={"token": tokens["access_token"]} | client.proof).status_code == 405
    assert gateway.post("/oauth/revoke", query_string={"token": tokens["access_token"]}, data=client.proof).status_code == 400
    assert gateway.opens(tokens["access_token"])


@pytest.mark.requirement("REV-011")
def test_a_forged_token_with_a_true_id_revokes_nothing(gateway, client, flow):
    tokens = flow()
    header, claims, signature = tokens["access_token"].split(".")
    known = jwt.decode(tokens["access_token"], gateway.services.access_tokens._keys.active)
    forged = jwt.encode(known.header, known.claims, OctKey.import_key(b"another key, long enough for HS256"))
    for token in (forged, f"{header}.{claims}.", f"{header}.{claims}.{signature[::-1]}", f"{header}.{claims}"):
        assert gateway.revoke({"token": token} | client.proof).status_code == 200
    assert gateway.opens(tokens["access_token"])


@pytest.mark.requirement("REV-015")
def test_a_json_body_is_refused(gateway, client, flow):
    tokens = flow()
    assert gateway.post("/oauth/revoke", json={"token": tokens["access_token"]} | client.proof).status_code == 415
    assert gateway.opens(tokens["access_token"])


def test_an_expired_token_can_be_revoked_without_harm(gateway, client, flow, clock):
    tokens = flow()
    clock.advance(4_000)
    assert gateway.revoke({"token": tokens["access_token"]} | client.proof).status_code == 200


@pytest.mark.requirement("BRR-023")
@pytest.mark.parametrize("kind", ["client", "user"])
def test_what_an_operator_revokes_ends_all_its_tokens(gateway, client, flow, kind, clock):
    tokens = flow()
    subject = gateway.services.users.find("ada").user_id
    gateway.services.revocations.revoke((f"client:{client.client_id}" if kind == "client" else f"user:{subject}",), clock() + 10_000)
    assert not gateway.opens(tokens["access_token"])
    assert gateway.refresh(client, tokens["refresh_token"]).json["error"] == "invalid_grant"
