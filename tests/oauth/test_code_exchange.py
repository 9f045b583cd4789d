"""A code is good once, for its own client, with its own verifier (OAuth 2.1 §4.1.3)."""

from __future__ import annotations

import orjson
import pytest
from joserfc import jws

from tests.gateway import BOTH_SCOPES, ISSUER, REDIRECT_URI, VERIFIER, both_back_ends, challenge_of

pytestmark = both_back_ends


def error_of(response):
    assert response.status_code == 400, response.text
    assert response.headers["Cache-Control"] == "no-store"
    assert "access_token" not in response.json
    return response.json["error"]


@pytest.mark.requirement("TOK-001")
@pytest.mark.requirement("TOK-002")
@pytest.mark.requirement("TOK-032")
def test_a_code_becomes_tokens(gateway, client):
    response = gateway.token(client.redeems(gateway.code(client)))
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert (response.headers["Cache-Control"], response.headers["Pragma"]) == ("no-store", "no-cache")
    assert response.json["token_type"] == "Bearer"
    assert response.json["expires_in"] == 3600
    assert response.json["scope"] == BOTH_SCOPES
    assert response.json["refresh_token"]


@pytest.mark.requirement("TOK-031")
def test_access_tokens_are_as_rfc_9068_wants_them_and_never_the_same(gateway, client, clock):
    found = [jws.extract_compact(gateway.tokens(client)["access_token"].encode()) for _ in range(2)]
    [header, other], [claims, others] = [each.headers() for each in found], [orjson.loads(each.payload) for each in found]
    assert header == other == {"alg": "HS256", "typ": "at+jwt", "kid": header["kid"]}
    assert (claims["iss"], claims["aud"], claims["client_id"]) == (ISSUER, f"{ISSUER}/mcp", client.client_id)
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["iat"] == int(clock())
    assert claims["sub"] == gateway.services.users.find("ada").user_id
    assert claims["jti"] != others["jti"]
    assert claims["grant_id"] != others["grant_id"]


@pytest.mark.requirement("TOK-003")
def test_a_code_that_is_used_again_is_refused_and_ends_what_it_gave(gateway, client):
    code = gateway.code(client)
    tokens = gateway.token(client.redeems(code)).json
    assert gateway.opens(tokens["access_token"])
    assert error_of(gateway.token(client.redeems(code))) == "invalid_grant"
    assert not gateway.opens(tokens["access_token"])
    assert error_of(gateway.refresh(client, tokens["refresh_token"])) == "invalid_grant"
    assert error_of(gateway.token(client.redeems(code))) == "invalid_grant"


def test_what_a_replayed_code_gave_stays_ended_for_as_long_as_it_would_have_lived(open_gateway, clock):
    gateway = open_gateway(REFRESH_TOKEN_LIFETIME="60")
    gateway.add_user()
    client = gateway.register()
    code = gateway.code(client)
    tokens = gateway.token(client.redeems(code)).json
    assert error_of(gateway.token(client.redeems(code))) == "invalid_grant"
    clock.advance(3_600)
    assert not gateway.opens(tokens["access_token"])


@pytest.mark.requirement("TOK-005")
@pytest.mark.parametrize("change", [{"code_verifier": "x" * 43}, {"code_verifier": None}, {"redirect_uri": "https://elsewhere.test/"}])
def test_a_replay_that_is_not_otherwise_right_revokes_nothing(gateway, client, change):
    code = gateway.code(client)
    tokens = gateway.token(client.redeems(code)).json
    assert gateway.token(client.redeems(code, **change)).status_code == 400
    assert gateway.opens(tokens["access_token"])
    assert gateway.refresh(client, tokens["refresh_token"]).status_code == 200


@pytest.mark.requirement("TOK-006")
def test_the_code_of_another_client_is_refused_and_still_works_for_its_owner(gateway, client, public_client):
    code = gateway.code(client)
    other = gateway.register()
    assert error_of(gateway.token(other.redeems(code))) == "invalid_grant"
    assert error_of(gateway.token(public_client.redeems(code, redirect_uri=REDIRECT_URI))) == "invalid_grant"
    tokens = gateway.token(client.redeems(code)).json
    assert error_of(gateway.token(other.redeems(code))) == "invalid_grant"
    assert gateway.opens(tokens["access_token"])


@pytest.mark.requirement("TOK-007")
@pytest.mark.requirement("TOK-009")
@pytest.mark.requirement("CLI-015")
@pytest.mark.parametrize("change", [
    {"code_verifier": None},
    {"code_verifier": ""},
    {"code_verifier": "x" * 43},
    {"code_verifier": VERIFIER + "x"},
    {"code_verifier": VERIFIER.upper()},
    {"code_verifier": challenge_of(VERIFIER), "code_challenge_method": "plain"},
    {"code_verifier": challenge_of(VERIFIER), "code_challenge_method": "plain", "code_challenge": challenge_of(VERIFIER)},
    {"redirect_uri": None},
    {"redirect_uri": "https://dev12345.service-now.com/mcp_redirect.do"},
    {"redirect_uri": REDIRECT_URI + "/"},
    {"resource": "https://elsewhere.test/"},
    {"client_secret": "wrong"},
    {"client_secret": None},
])
def test_a_wrong_request_is_refused_and_does_not_use_the_code_up(gateway, client, change):
    code = gateway.code(client)
    response = gateway.token(client.redeems(code, **change))
    assert response.status_code == (401 if "client_secret" in change else 400)
    assert response.json["error"] in ("invalid_grant", "invalid_request", "invalid_client", "invalid_target")
    assert gateway.token(client.redeems(code)).status_code == 200


@pytest.mark.requirement("TOK-010")
@pytest.mark.parametrize("verifier", ["abcde", "a" * 42, "a" * 129, "a" * 5_000, "a" * 42 + "/", "a" * 42 + "+", "a" * 42 + " ", "a" * 43 + "\n",
    "a" * 42 + "é"])
def test_a_verifier_that_is_not_well_formed_is_refused_even_if_it_fits(gateway, client, verifier):
    code = gateway.code(client, code_challenge=challenge_of(verifier))
    assert error_of(gateway.token(client.redeems(code, code_verifier=verifier))) in ("invalid_grant", "invalid_request")


@pytest.mark.parametrize("verifier", ["a" * 43, "a" * 128, "-._~" * 11])
def test_the_shortest_and_the_longest_verifier_do(gateway, client, verifier):
    code = gateway.code(client, code_challenge=challenge_of(verifier))
    assert gateway.token(client.redeems(code, code_verifier=verifier)).status_code == 200


@pytest.mark.requirement("TOK-014")
@pytest.mark.requirement("TOK-038")
@pytest.mark.requirement("AUT-046")
def test_a_code_that_is_not_quite_the_code_is_refused(gateway, client):
    code, access_token = gateway.code(client), gateway.tokens(client)["access_token"]
    for spoilt in ("nope", code[:-1], code + "x", code.swapcase(), f"{code}.{client.client_id}", f"{client.client_id}.{code}", code + "\0",
        f" {code}",
                   "x" * 3_000, "x" * 50_000, "é", "\u202e", "' OR 1=1 --", access_token, "", None, "*", "null"):
        assert error_of(gateway.token(client.redeems(code, code=spoilt))) in ("invalid_grant", "invalid_request"), spoilt
    assert gateway.token(client.redeems(code)).status_code == 200


@pytest.mark.requirement("TOK-015")
def test_a_code_ends_with_its_lifetime(gateway, client, clock):
    first, second = gateway.code(client), gateway.code(client)
    clock.advance(599)
    assert gateway.token(client.redeems(first)).status_code == 200
    clock.advance(2)
    assert error_of(gateway.token(client.redeems(second))) == "invalid_grant"


@pytest.mark.requirement("TOK-027")
@pytest.mark.parametrize("scope", [BOTH_SCOPES, "tools:admin", "root"])
def test_a_scope_at_the_token_endpoint_widens_nothing(gateway, client, scope):
    response = gateway.token(client.redeems(gateway.code(client, scope="tools:read"), scope=scope))
    assert response.json.get("scope", "tools:read") == "tools:read"


def test_a_client_without_the_refresh_grant_gets_no_refresh_token(gateway):
    client = gateway.register(grant_types=["authorization_code"])
    tokens = gateway.tokens(client)
    assert "refresh_token" not in tokens
    assert gateway.opens(tokens["access_token"])


def test_a_redirect_uri_that_was_not_asked_with_need_not_be_repeated(gateway, client):
    assert gateway.token(client.redeems(gateway.code(client, redirect_uri=None), redirect_uri=None)).status_code == 200
