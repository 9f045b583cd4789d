"""The operators' console: for whom it is, what it does, and that a form does its work once."""

from __future__ import annotations

import json
import re

import pytest

from tests.gateway import ISSUER, Browser, both_back_ends, hidden_fields

PAGES = ("/operator", "/operator/clients", "/operator/grants", "/operator/registration-tokens", "/operator/people", "/operator/events")
ACTIONS = (
    "/operator/clients/x/revoke", "/operator/clients/x/rotate-secret", "/operator/clients/sweep", "/operator/grants/x/end",
    "/operator/registration-tokens", "/operator/registration-tokens/x/end", "/operator/people/x/disable", "/operator/people/x/enable",
    "/operator/people/x/unlock")
OPERATOR = "grace"


@pytest.fixture
def operator(gateway):
    gateway.add_user(OPERATOR, "a password of hers", operator=True)
    browser = Browser(gateway, OPERATOR, "a password of hers")
    assert browser.sign_in().status_code == 303
    return browser


def send(browser, path, on=None, **fields):
    """A form of the page `on`, sent to `path`."""
    page = browser.get(on or "/operator/people")
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text))
    return browser.post(path, hidden | fields)


def confirm(browser, path, on):
    asked = send(browser, path, on)
    assert asked.status_code == 200, asked.text
    return browser.post(path, hidden_fields(asked)), hidden_fields(asked)


def audited(log, action):
    [line] = log.audited(action)
    return line


@pytest.mark.parametrize("path", PAGES)
def test_who_is_not_signed_in_signs_in_first_and_comes_back(gateway, operator, path):
    response = gateway.get(path, headers={"Accept": "text/html"})
    assert (response.status_code, response.location) == (303, f"/login?next={path}")
    assert operator.get(path).status_code == 200


@pytest.mark.parametrize("path", [*PAGES, *ACTIONS])
def test_a_person_who_is_no_operator_sees_and_does_nothing(gateway, browser, path):
    assert browser.sign_in().status_code == 303
    response = (browser.get if path in PAGES else lambda path: browser.post(path, {"csrf": "x"}))(path)
    assert response.status_code == 403
    assert "flask users operator" in response.text


@pytest.mark.parametrize("path", ACTIONS)
@pytest.mark.parametrize("spoil", [
    lambda fields: ({"x": "y"}, {}), lambda fields: (fields | {"csrf": "x"}, {}), lambda fields: (fields, {"Origin": "https://evil.test"}),
    lambda fields: (fields, {"Sec-Fetch-Site": "cross-site"})])
def test_a_form_that_is_not_ours_or_comes_from_elsewhere_does_nothing(operator, path, spoil, log):
    fields, headers = spoil(hidden_fields(operator.get("/operator/people")))
    response = operator.post(path, fields, headers=headers)
    assert response.status_code == 400
    assert '"event_type":"operator"' not in log.text


def test_an_operator_who_is_none_any_more_is_out_at_once(gateway, operator):
    from dataclasses import replace  # noqa: PLC0415

    user = gateway.services.users.find(OPERATOR)
    gateway.services.users.replace(replace(user, operator=False))
    assert operator.get("/operator").status_code == 403


@both_back_ends
def test_a_client_is_revoked_with_all_of_its_tokens_after_a_question(gateway, client, operator, log):
    tokens = gateway.tokens(client)
    assert client.client_id in operator.get("/operator/clients").text
    response, _ = confirm(operator, f"/operator/clients/{client.client_id}/revoke", "/operator/clients")
    assert (response.status_code, response.location) == (303, "/operator/clients")
    assert not gateway.opens(tokens["access_token"])
    assert gateway.services.clients.find(client.client_id) is None
    assert "is revoked, with all of its tokens" in operator.get("/operator/clients").text
    line = audited(log, "client_revoked")
    assert (line["event_type"], line["details"]["operator"], line["client_id"]) == ("operator", OPERATOR, client.client_id)


def test_without_the_answer_to_the_question_nothing_happens(gateway, client, operator):
    assert send(operator, f"/operator/clients/{client.client_id}/revoke", "/operator/clients").status_code == 200
    assert gateway.services.clients.find(client.client_id) is not None


def test_a_new_secret_is_shown_once_works_beside_the_former_and_a_reload_makes_no_other(gateway, client, operator):
    path = f"/operator/clients/{client.client_id}/rotate-secret"
    response, fields = confirm(operator, path, "/operator/clients")
    [secret] = re.findall(r'<p class="secret"><code>([^<]+)</code>', response.text)
    again = operator.post(path, fields)
    assert again.status_code == 400
    assert "done already" in again.text
    code = gateway.code(client)
    assert gateway.token(client.redeems(code) | {"client_secret": secret}).status_code == 200
    assert gateway.token(client.redeems(gateway.code(client))).status_code == 200


def test_a_public_client_has_no_secret_to_rotate(gateway, operator, public_client):
    response = send(operator, f"/operator/clients/{public_client.client_id}/rotate-secret", "/operator/clients")
    assert response.status_code == 400
    assert "has no secret" in response.text


def test_stale_clients_are_swept_and_those_in_use_stay(gateway, client, operator, clock):
    stale = gateway.add_client(origin="registration", created_at=clock() - 31 * 86_400)
    gateway.tokens(client)
    page = operator.get("/operator/clients").text
    assert "1 client registered itself" in page
    response, _ = confirm(operator, "/operator/clients/sweep", "/operator/clients")
    assert response.status_code == 303
    assert gateway.services.clients.find(stale.client_id) is None
    assert gateway.services.clients.find(client.client_id) is not None


@both_back_ends
def test_an_approval_is_ended(gateway, client, operator, log):
    tokens = gateway.tokens(client)
    [grant] = gateway.services.grants_in_force.all()
    assert send(operator, f"/operator/grants/{grant.grant_id}/end", "/operator/grants").status_code == 303
    assert not gateway.opens(tokens["access_token"])
    assert "No approval is in force" in operator.get("/operator/grants").text
    assert send(operator, f"/operator/grants/{grant.grant_id}/end").status_code == 404
    assert audited(log, "grant_revoked")["details"]["operator"] == OPERATOR


def test_a_registration_token_is_made_shown_once_used_and_ended(gateway, operator):
    made = send(operator, "/operator/registration-tokens", "/operator/registration-tokens", name="Acmé's admin", days="7", count="1", instance="")
    [token] = re.findall(r'<p class="secret"><code>([^<]+)</code>', made.text)
    body = {"client_name": "a client", "redirect_uris": ["https://dev12345.service-now.com/oauth_redirect.do"]}
    headers = {"Authorization": f"Bearer {token}"}
    assert [gateway.post("/oauth/register", json=body, headers=headers).status_code for _ in range(2)] == [201, 401]
    page = operator.get("/operator/registration-tokens").text
    assert "used up" in page
    assert token not in page
    [path] = re.findall(r'action="(/operator/registration-tokens/[^"]+/end)"', page)
    assert send(operator, path, "/operator/registration-tokens").status_code == 303
    assert gateway.services.initial_access_tokens.all() == []


@pytest.mark.parametrize("changes", [
    {"name": ""}, {"name": "\x00"}, {"name": "x" * 201}, {"days": "0"}, {"days": "36500"}, {"days": ""}, {"count": "0"}, {"count": "-1"},
    {"count": "1e9"}, {"count": "9" * 40}, {"count": "²"}, {"instance": "http://plain.test"}, {"instance": "https://user@host.test/path"}])
def test_a_registration_token_that_cannot_be_is_refused_in_words(gateway, operator, changes):
    fields = {"name": "n", "days": "7", "count": "", "instance": ""} | changes
    response = send(operator, "/operator/registration-tokens", "/operator/registration-tokens", **fields)
    assert response.status_code == 400
    assert gateway.services.initial_access_tokens.all() == []


def test_somebody_is_kept_out_and_let_in_again_but_not_oneself(gateway, client, operator, browser):
    tokens = gateway.tokens(client)
    somebody = gateway.services.users.find("ada")
    response, _ = confirm(operator, f"/operator/people/{somebody.user_id}/disable", "/operator/people")
    assert response.status_code == 303
    assert not gateway.opens(tokens["access_token"])
    assert browser.sign_in().status_code == 401
    assert send(operator, f"/operator/people/{somebody.user_id}/enable").status_code == 303
    assert browser.sign_in().status_code == 303
    oneself = gateway.services.users.find(OPERATOR)
    assert send(operator, f"/operator/people/{oneself.user_id}/disable").status_code == 400
    assert operator.get("/operator").status_code == 200


def test_the_wait_after_wrong_passwords_is_ended(gateway, operator, browser):
    form = hidden_fields(browser.get("/login")) | {"username": "ada", "password": "wrong"}
    addresses = [{"REMOTE_ADDR": f"198.51.100.{number}"} for number in range(21)]
    tries = [browser.post("/login", form, environ_overrides=address).status_code for address in addresses]
    assert tries == [401] * 20 + [429]
    somebody = gateway.services.users.find("ada")
    assert send(operator, f"/operator/people/{somebody.user_id}/unlock").status_code == 303
    assert browser.sign_in().status_code == 303


def test_the_last_events_are_shown_newest_first_and_can_be_searched(open_gateway, tmp_path):
    gateway = open_gateway(AUDIT_LOG_PATH=str(tmp_path / "audit.log"))
    gateway.add_user(OPERATOR, "a password of hers", operator=True)
    browser = Browser(gateway, OPERATOR, "a password of hers")
    browser.sign_in(password="wrong")
    browser.sign_in()
    page = browser.get("/operator/events").text
    assert page.index("success") < page.index("failure")
    assert "None of the last events" in browser.get("/operator/events?q=nothing-like-it").text


def test_what_others_named_themselves_is_shown_as_text(gateway, operator):
    gateway.register(client_name='<script>alert(1)</script>"\u202e')
    page = operator.get("/operator/clients").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_front_page_tells_operators_how_to_connect_and_others_what_this_is(gateway, operator, browser):
    page = operator.get("/").text
    for expected in (f"{ISSUER}/mcp", "Dynamic Client Registration", "Manual Registration", "API key", "/oauth_redirect.do", "--show-token"):
        assert expected in page
    assert gateway.settings.dcr_auth_token not in page
    assert gateway.settings.mcp_api_key not in page
    browser.sign_in()
    for visitor in (browser, Browser(gateway)):
        page = visitor.get("/").text
        assert f"{ISSUER}/mcp" in page
        assert "Dynamic Client Registration" not in page


def test_the_overview_says_what_there_is_and_what_is_wrong(gateway, client, operator):
    gateway.tokens(client)
    page = re.sub(r"\s+", " ", operator.get("/operator").text)
    assert "<dt>Clients</dt><dd>1</dd>" in page
    assert "<dt>Approvals in force</dt><dd>1</dd>" in page
    assert "SQLite" in page
    assert json.dumps(gateway.settings.jwt_secret) not in page
