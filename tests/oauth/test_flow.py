"""The whole way, from discovery to revocation, as clients walk it."""

from __future__ import annotations

import pytest

from tests.gateway import BOTH_SCOPES, DCR_TOKEN, ISSUER, Browser, ClientApplication, both_back_ends, query_of, registration_body


def path_of(metadata, endpoint):
    return metadata[endpoint].removeprefix(ISSUER)


@both_back_ends
@pytest.mark.requirement("FLO-001")
def test_a_client_that_knows_only_the_url_gets_from_the_challenge_to_a_revoked_token(gateway):
    challenged = gateway.mcp(headers={"Accept": "application/json, text/event-stream"})
    assert challenged.status_code == 401
    resource_metadata = challenged.headers["WWW-Authenticate"].split('resource_metadata="')[1].split('"')[0]
    resource = gateway.get(resource_metadata.removeprefix(ISSUER)).json
    metadata = gateway.get(resource["authorization_servers"][0].removeprefix(ISSUER) + "/.well-known/oauth-authorization-server").json

    registered = gateway.post(path_of(metadata, "registration_endpoint"), json=registration_body(), headers={"Authorization": f"Bearer {DCR_TOKEN}"})
    client = ClientApplication(registered.json["client_id"], registered.json["client_secret"])
    page = Browser(gateway).consent_page(client.asks(resource=resource["resource"]), path=path_of(metadata, "authorization_endpoint"))
    assert page.status_code == 200
    tokens = gateway.tokens(client, resource=resource["resource"])

    def mcp(message, **params):
        request = {"jsonrpc": "2.0", "id": 7, "method": message, "params": params}
        return gateway.mcp(request, tokens["access_token"]).json["result"]

    assert mcp("initialize", protocolVersion="2025-06-18", capabilities={},
        clientInfo={"name": "n", "version": "1"})["protocolVersion"] == "2025-06-18"
    assert "echo" in [tool["name"] for tool in mcp("tools/list")["tools"]]
    assert mcp("tools/call", name="server_status", arguments={})["structuredContent"]["model_available"] is True

    refreshed = gateway.token(client.refreshes(tokens["refresh_token"]))
    assert refreshed.status_code == 200
    revoked = gateway.post(path_of(metadata, "revocation_endpoint"), data={"token": refreshed.json["access_token"]} | client.proof)
    assert (revoked.status_code, revoked.json) == (200, {})
    assert not gateway.opens(refreshed.json["access_token"])


@pytest.mark.requirement("FLO-002")
@pytest.mark.requirement("CLI-007")
@pytest.mark.parametrize("registered", ["client_secret_basic", "client_secret_post", None])
@pytest.mark.parametrize("used", ["basic", "post"])
def test_basic_and_post_both_work_whichever_was_registered(gateway, registered, used):
    body = registration_body(token_endpoint_auth_method=registered)
    answer = gateway.post("/register", json=body, headers={"Authorization": f"Bearer {DCR_TOKEN}"}).json
    assert answer["token_endpoint_auth_method"] == (registered or "client_secret_post")
    client = ClientApplication(answer["client_id"], answer["client_secret"])
    code = gateway.code(client)
    if used == "post":
        response = gateway.post("/token", data=client.redeems(code))
    else:
        response = gateway.post("/token", data=client.redeems(code, client_id=None, client_secret=None), headers=client.basic)
    assert response.status_code == 200, response.text
    assert gateway.opens(response.json["access_token"])


@pytest.mark.requirement("FLO-002")
@pytest.mark.requirement("REF-018")
def test_a_public_client_goes_the_whole_way_without_a_secret_and_its_refresh_token_rotates(gateway, public_client):
    tokens = gateway.tokens(public_client)
    refreshed = gateway.refresh(public_client, tokens["refresh_token"]).json
    assert gateway.opens(refreshed["access_token"])
    assert refreshed["refresh_token"] != tokens["refresh_token"]
    assert "client_secret" not in public_client.proof


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (None, BOTH_SCOPES),
        ("", BOTH_SCOPES),
        ("tools:read", "tools:read"),
        ("tools:execute tools:read", BOTH_SCOPES),
        ("tools:read,tools:execute", BOTH_SCOPES),
        ("tools:read, tools:execute", BOTH_SCOPES),
        ("tools:execute,", "tools:execute"),
        ("openid profile email offline_access", BOTH_SCOPES),
        ("openid,offline_access,tools:read", "tools:read"),
        ("tools:read tools:read", "tools:read"),
    ],
)
def test_scopes_come_with_blanks_or_commas_and_openid_is_accepted_and_not_granted(gateway, client, asked, granted):
    assert gateway.tokens(client, scope=asked)["scope"] == granted


@pytest.mark.parametrize("path", ["/authorize", "/oauth/authorize"])
def test_the_short_paths_of_old_clients_lead_to_the_same_endpoints(gateway, client, path):
    browser = Browser(gateway)
    code = query_of(browser.decide(browser.consent_page(client.asks(), path=path)).location)["code"]
    tokens = gateway.post("/token", data=client.redeems(code)).json
    assert gateway.post("/revoke", data={"token": tokens["refresh_token"]} | client.proof).status_code == 200
    assert not gateway.opens(tokens["access_token"])
