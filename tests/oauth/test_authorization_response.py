"""What comes back: the code, the state as it was sent, and by whom."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from tests.gateway import ISSUER, REDIRECT_URI, VERIFIER, Browser, both_back_ends, challenge_of, query_of

STATES = ["st4te", "a b+c%20d&e=f#g?h/i:j@k,l;m!n*o'p(q)r", '"quotes\' \\ and <script>alert(1)</script>', "é ü ß 日本 \U0001f600 \u202e", "x" * 1_000,
          "line\r\nSet-Cookie: a=b", "\t\0\x7f", "{{7*7}} ${7*7} %7B", "&error=access_denied&code=x", "y" * 4_096]


@both_back_ends
@pytest.mark.requirement("AUT-001")
@pytest.mark.requirement("AUT-021")
@pytest.mark.requirement("AUT-033")
def test_the_state_comes_back_as_it_was_sent(gateway, client):
    for state in STATES:
        response = (browser := Browser(gateway)).decide(browser.consent_page(client.asks(state=state)))
        assert response.status_code == 303
        assert "\n" not in response.location
        assert response.headers.get_all("Set-Cookie") == response.headers.get_all("Set-Cookie")[:1]
        answer = query_of(response.location)
        assert set(answer) == {"code", "state", "iss"}
        assert (answer["state"], answer["iss"]) == (state, ISSUER)


@pytest.mark.requirement("AUT-001")
def test_a_state_that_was_not_escaped_by_the_client_comes_back_too(gateway, client):
    query = "&".join(f"{name}={value.replace(' ', '+')}" for name, value in client.asks(state="é€ß").items())
    raw = query.encode().decode("latin-1")  # as a server hands the bytes on
    browser = Browser(gateway)
    browser.sign_in()
    page = browser.http.get("/oauth/authorize", base_url=ISSUER, environ_overrides={"QUERY_STRING": raw})
    assert page.status_code == 200
    assert query_of(browser.decide(page).location)["state"] == "é€ß"
    assert gateway.get("/oauth/authorize", environ_overrides={"QUERY_STRING": raw}).status_code == 302


@pytest.mark.requirement("AUT-020")
def test_without_a_state_none_comes_back(gateway, client):
    answer = query_of(Browser(gateway).approve(client.asks(state=None)))
    assert set(answer) == {"code", "iss"}


def test_a_redirect_uri_with_a_query_keeps_it(gateway):
    client = gateway.register(redirect_uris=[f"{REDIRECT_URI}?a=b&c"])
    location = Browser(gateway).approve(client.asks())
    assert location.startswith(f"{REDIRECT_URI}?a=b&c&code=")


@pytest.mark.requirement("AUT-032")
def test_nothing_of_the_request_is_in_the_code(gateway, client):
    challenge = challenge_of(VERIFIER)
    location = Browser(gateway).approve(client.asks())
    code = query_of(location)["code"]
    assert challenge not in location
    assert VERIFIER not in location
    decoded = base64.urlsafe_b64decode(code + "=")
    assert len(decoded) == 32
    assert client.client_id.encode() not in decoded


@pytest.mark.requirement("AUT-042")
def test_two_requests_in_one_browser_keep_to_themselves(gateway, client):
    browser = Browser(gateway)
    verifiers = {"first": "a" * 43, "second": "b" * 43}
    browser.sign_in()
    pages = {state: browser.consent_page(client.asks(state=state, code_challenge=challenge_of(verifier))) for state, verifier in verifiers.items()}
    for state in ("second", "first"):
        answer = query_of(browser.decide(pages[state]).location)
        assert answer["state"] == state
        other = verifiers["first" if state == "second" else "second"]
        assert gateway.token(client.redeems(answer["code"], code_verifier=other)).status_code == 400
        assert gateway.token(client.redeems(answer["code"], code_verifier=verifiers[state])).status_code == 200


@pytest.mark.requirement("AUT-045")
@pytest.mark.parametrize("gone", ["disabled", "removed", "revoked"])
def test_the_code_of_a_person_who_is_gone_meanwhile_is_refused(gateway, client, gone, clock):
    code, users = gateway.code(client), gateway.services.users
    user = users.find("ada")
    if gone == "disabled":
        users.replace(replace(user, disabled=True))
    elif gone == "removed":
        users.remove("ada")
        gateway.add_user()
    else:
        gateway.services.revocations.revoke((f"user:{user.user_id}",), clock() + 60)
    assert gateway.token(client.redeems(code)).json["error"] == "invalid_grant"
