"""The device authorization endpoint: two codes for a client that registered for them (RFC 8628 §3.1, §3.2)."""

from __future__ import annotations

import math
import re

import pytest

from mcp_server.oauth import user_codes
from mcp_server.oauth.models import DEVICE_CODE, InitialAccessToken
from tests.devices import approve, asks, device, device_client
from tests.gateway import BOTH_SCOPES, FORM, INSTANCE, ISSUER, ClientApplication, both_back_ends, encoded, registration_body
from tests.key_clients import add_key_client


@pytest.fixture
def client(gateway):
    return device_client(gateway)


@both_back_ends
@pytest.mark.requirement("DEV-001")
def test_a_public_client_gets_two_codes_and_where_to_type_one(gateway, client):
    response = asks(gateway, client)
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert (response.headers["Cache-Control"], response.headers["Pragma"]) == ("no-store", "no-cache")
    user_code = response.json["user_code"]
    assert response.json == {
        "device_code": response.json["device_code"], "user_code": user_code, "verification_uri": f"{ISSUER}/device",
        "verification_uri_complete": f"{ISSUER}/device?user_code={user_code}", "expires_in": 600, "interval": 5}


@pytest.mark.requirement("DEV-002")
def test_codes_are_never_the_same_and_hard_to_guess(gateway, client):
    found = [asks(gateway, client).json for _ in range(50)]
    assert len({answer["device_code"] for answer in found}) == len({answer["user_code"] for answer in found}) == 50
    assert min(len(answer["device_code"]) for answer in found) * 6 >= 256
    assert all(re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", answer["user_code"]) for answer in found)
    assert 8 * math.log2(len(user_codes.ALPHABET)) > 34
    assert not set("AEIOUY0123456789") & set(user_codes.ALPHABET)
    assert len({letter for answer in found for letter in answer["user_code"]}) == 21  # every letter is drawn, and the dash


def test_a_user_code_that_is_taken_is_drawn_again(gateway, client, monkeypatch):
    drawn = iter(["BBBBBBBB", "BBBBBBBB", "CCCCCCCC"])
    monkeypatch.setattr(user_codes, "new_user_code", lambda: next(drawn))
    assert [asks(gateway, client).json["user_code"] for _ in range(2)] == ["BBBB-BBBB", "CCCC-CCCC"]


@pytest.mark.requirement("DEV-003")
def test_a_confidential_client_proves_itself_as_at_the_token_endpoint(gateway):
    client = device_client(gateway, "a secret of its own")
    assert asks(gateway, client).status_code == 200
    assert gateway.post("/oauth/device_authorization", data={}, content_type=FORM, headers=client.basic).status_code == 200
    keys = add_key_client(gateway, grant_types=(DEVICE_CODE,))
    assert asks(gateway, keys).status_code == 200
    nobody = {"client_id": None, "client_secret": None, "x": "y"}
    for change in ({"client_secret": "wrong"}, {"client_secret": None}, {"client_id": "nobody"}, nobody):
        refused = asks(gateway, client, **change)
        assert (refused.status_code, refused.json["error"]) == (401, "invalid_client")


@pytest.mark.requirement("DEV-004")
def test_a_client_that_did_not_register_for_the_grant_is_refused_at_both_endpoints(gateway):
    other = gateway.register()
    refused = asks(gateway, other)
    assert (refused.status_code, refused.json["error"]) == (400, "unauthorized_client")
    refused = gateway.token({"grant_type": DEVICE_CODE, "device_code": "x"} | other.proof)
    assert (refused.status_code, refused.json["error"]) == (400, "unauthorized_client")
    assert refused.json["error_description"] == f"This client is not registered for the grant type {DEVICE_CODE}."


@pytest.mark.requirement("DEV-005")
@pytest.mark.parametrize(("registered", "asked", "granted"), [
    ("tools:read", None, "tools:read"), ("tools:read", BOTH_SCOPES, BOTH_SCOPES), (BOTH_SCOPES, "tools:execute", "tools:execute"),
    (BOTH_SCOPES, "tools:execute,tools:read openid", BOTH_SCOPES)])
def test_the_registered_scope_is_what_one_gets_who_asks_for_none(gateway, registered, asked, granted):
    asking = device(gateway, device_client(gateway, scope=registered), scope=asked)
    approve(gateway, asking.user_code)
    assert asking.poll().json["scope"] == granted


@pytest.mark.requirement("DEV-005")
@pytest.mark.parametrize(("change", "error"), [
    ({"scope": "root"}, "invalid_scope"), ({"resource": "https://elsewhere.test/"}, "invalid_target"), ({"resource": "mcp"}, "invalid_target"),
    ({"resource": f"{ISSUER}/mcp#x"}, "invalid_target")])
def test_a_scope_or_a_resource_that_is_not_ours_is_refused(gateway, client, change, error):
    refused = asks(gateway, client, **change)
    assert (refused.status_code, refused.json["error"]) == (400, error)
    assert asks(gateway, client, resource=f"{ISSUER}/mcp").status_code == 200


@pytest.mark.requirement("DEV-006")
@pytest.mark.parametrize(("body", "content_type", "status"), [
    (b"", FORM, 401), (b"", "", 415), (b"{}", "application/json", 415), (b"client_id=%", FORM, 400), (b"client_id=%ff", FORM, 400),
    (b"client_id=%00", FORM, 400), (b"client_id=a&client_id=a", FORM, 400), (b"client_id=" + b"x" * 5_000, FORM, 400),
    (b"x=" + b"y" * 150_000, FORM, 413), (b"a&" * 40_000, FORM, 400), (b"client_id=nobody", FORM, 401), (b"client_id=%27+OR+1%3D1+--", FORM, 401),
    (b"client_id=nobody", f"{FORM}X", 415)])
def test_a_request_that_cannot_be_read_is_refused_in_json(gateway, body, content_type, status):
    response = gateway.post("/oauth/device_authorization", data=body, content_type=content_type, headers={"Accept": "text/html"})
    assert (response.status_code, response.mimetype) == (status, "application/json")
    assert response.json["error"] == ("invalid_client" if status == 401 else "invalid_request")


@pytest.mark.requirement("DEV-006")
def test_parameters_count_once_and_in_the_body_only(gateway, client):
    assert gateway.post("/oauth/device_authorization", query_string=client.proof, data={}, content_type=FORM).status_code == 401
    twice = encoded([*client.proof.items(), ("scope", "tools:read"), ("scope", "tools:read")])
    assert gateway.post("/oauth/device_authorization", data=twice, content_type=FORM).json["error"] == "invalid_request"
    assert asks(gateway, client, unknown="x", response_type="device_code").status_code == 200
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
        response = gateway.send(method, "/oauth/device_authorization", query_string=client.proof)
        assert response.status_code == 405
        assert "POST" in response.headers["Allow"]


@pytest.mark.requirement("DEV-007")
def test_the_metadata_names_the_endpoint_and_the_grant(gateway):
    metadata = gateway.get("/.well-known/oauth-authorization-server").json
    assert metadata["device_authorization_endpoint"] == f"{ISSUER}/oauth/device_authorization"
    assert DEVICE_CODE in metadata["grant_types_supported"]


@pytest.mark.requirement("DEV-007")
def test_where_nobody_is_asked_nothing_of_it_is_served_or_named(open_gateway):
    gateway = open_gateway(AUTHORIZATION_MODE="auto")
    metadata = gateway.get("/.well-known/oauth-authorization-server").json
    assert "device_authorization_endpoint" not in metadata
    assert DEVICE_CODE not in metadata["grant_types_supported"]
    client = device_client(gateway)
    assert asks(gateway, client).status_code == 404
    assert gateway.token({"grant_type": DEVICE_CODE, "device_code": "x"} | client.proof).json["error"] == "unsupported_grant_type"
    for path in ("/device", "/device/approval"):
        assert gateway.get(path).status_code == gateway.post(path, data={"user_code": "x"}).status_code == 404
    assert registered(gateway, grant_types=["authorization_code", DEVICE_CODE]).json["grant_types"] == ["authorization_code"]


# Registering for it.


def registered(gateway, token=None, **changes):
    return gateway.post("/oauth/register", json=registration_body(**changes),
                        headers={"Authorization": f"Bearer {token or gateway.settings.dcr_auth_token}"})


@pytest.mark.requirement("DEV-008")
@pytest.mark.parametrize("method", ["none", "client_secret_post"])
def test_a_client_registers_for_it_without_a_redirect_uri_and_uses_it(gateway, method):
    response = registered(gateway, grant_types=[DEVICE_CODE, "refresh_token"], redirect_uris=None, response_types=None,
                          token_endpoint_auth_method=method)
    assert response.status_code == 201, response.text
    assert response.json["grant_types"] == ["refresh_token", DEVICE_CODE]
    assert (response.json["redirect_uris"], response.json["response_types"]) == ([], [])
    asking = device(gateway, ClientApplication(response.json["client_id"], response.json.get("client_secret")))
    approve(gateway, asking.user_code)
    assert gateway.opens(asking.poll().json["access_token"])


@pytest.mark.requirement("DEV-009")
def test_who_may_register_without_a_token_may_not_reach_people_everywhere(open_gateway):
    gateway = open_gateway(DCR_MODE="open")
    refused = registered(gateway, grant_types=[DEVICE_CODE], redirect_uris=None, response_types=None)
    assert (refused.status_code, refused.json["error"]) == (400, "invalid_client_metadata")
    assert "flask clients create" in refused.json["error_description"]
    assert registered(gateway, grant_types=["authorization_code", DEVICE_CODE]).json["grant_types"] == ["authorization_code"]


@pytest.mark.requirement("DEV-009")
def test_the_token_for_one_instance_registers_nothing_that_gets_tokens_elsewhere(gateway):
    minted = "minted-" + "x" * 40
    gateway.services.initial_access_tokens.add(InitialAccessToken(
        "one", "one instance", gateway.services.digests.digest("initial", minted), gateway.clock(), instance=INSTANCE))
    refused = registered(gateway, minted, grant_types=[DEVICE_CODE], redirect_uris=None, response_types=None)
    assert (refused.status_code, refused.json["error"]) == (400, "invalid_client_metadata")
    assert registered(gateway, minted, grant_types=["authorization_code", DEVICE_CODE]).json["grant_types"] == ["authorization_code"]


@pytest.mark.parametrize("typed", ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "W D J B \u2013 M J H T", "wdjb_mjht.", "(WDJB/MJHT)"])
def test_a_code_is_read_as_it_was_meant(typed):
    assert user_codes.read(typed) == "WDJBMJHT"


@pytest.mark.parametrize("typed", [
    "", "-", "WDJB-MJH", "WDJB-MJHTT", "WDJB-MJHA", "WDJB-MJH1", "\uff37DJB-MJHT", "WDJBMJHß", "' OR 1=1 --", "\0" * 8])
def test_what_cannot_be_a_code_is_none(typed):
    assert user_codes.read(typed) is None
