"""AUTHORIZATION_MODE=auto, and the client that an operator exempted from PKCE."""

from __future__ import annotations

import pytest

from tests.gateway import ISSUER, query_of


@pytest.fixture
def automatic(open_gateway):
    return open_gateway(AUTHORIZATION_MODE="auto")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_auto_approves_a_confidential_client_at_once_in_its_own_name(automatic, method):
    client = automatic.register()
    response = automatic.authorize(client.asks())
    if method == "POST":
        response = automatic.get(automatic.post("/authorize", data=client.asks()).location)
    assert response.status_code == 302
    answer = query_of(response.location)
    assert (answer["state"], answer["iss"]) == ("st4te", ISSUER)
    tokens = automatic.token(client.redeems(answer["code"])).json
    assert automatic.services.access_tokens.verify(tokens["access_token"]).subject == f"client:{client.client_id}"
    assert automatic.opens(tokens["access_token"])
    assert automatic.opens(automatic.refresh(client, tokens["refresh_token"]).json["access_token"])


def test_auto_approves_no_public_client(automatic):
    client = automatic.register(token_endpoint_auth_method="none", redirect_uris=["http://127.0.0.1/callback"])
    answer = query_of(automatic.authorize(client.asks()).location)
    assert (answer["error"], answer["iss"]) == ("unauthorized_client", ISSUER)
    assert "code" not in answer


def test_auto_checks_the_request_as_ever(automatic):
    client = automatic.register()
    assert query_of(automatic.authorize(client.asks(code_challenge=None)).location)["error"] == "invalid_request"
    assert automatic.authorize(client.asks(redirect_uri="https://elsewhere.test/")).status_code == 400
    assert "code" in query_of(automatic.authorize(client.asks(prompt="none")).location)


def test_auto_lets_a_confidential_client_register_for_its_own_credentials(automatic):
    client = automatic.register(grant_types=["client_credentials"], redirect_uris=None, response_types=None)
    assert automatic.token({"grant_type": "client_credentials"} | client.proof).status_code == 200


def test_consent_approves_nobody_at_once(gateway, client):
    assert gateway.authorize(client.asks()).location.startswith("/login?")


@pytest.fixture
def exempted(gateway):
    return gateway.add_client("s" * 32, pkce_required=False)


WITHOUT_PKCE = {"code_challenge": None, "code_challenge_method": None}


def test_an_exempted_confidential_client_may_come_without_pkce(gateway, exempted):
    code = gateway.code(exempted, **WITHOUT_PKCE)
    assert gateway.token(exempted.redeems(code, code_verifier="x" * 43)).json["error"] == "invalid_grant"
    assert gateway.token(exempted.redeems(code, code_verifier=None)).status_code == 200


def test_an_exempted_client_that_uses_pkce_is_held_to_it(gateway, exempted):
    code = gateway.code(exempted)
    assert gateway.token(exempted.redeems(code, code_verifier=None)).json["error"] == "invalid_grant"
    assert gateway.token(exempted.redeems(code)).status_code == 200
    assert query_of(gateway.authorize(exempted.asks(code_challenge_method="plain")).location)["error"] == "invalid_request"
    assert query_of(gateway.authorize(exempted.asks(code_challenge=None)).location)["error"] == "invalid_request"


def test_a_public_client_cannot_be_exempted(gateway):
    client = gateway.add_client(pkce_required=False)
    assert query_of(gateway.authorize(client.asks(**WITHOUT_PKCE)).location)["error"] == "invalid_request"
