"""Approval: each client asks, the right person answers once, and nothing of the form but the decision counts."""

from __future__ import annotations

import threading

import pytest

from mcp_server.web.oauth import REPEATED_WITHIN
from mcp_server.web.sessions import TRANSACTION_LIFETIME
from tests.gateway import INSTANCE, ISSUER, REDIRECT_URI, Browser, both_back_ends, hidden_fields, query_of


@pytest.fixture
def page(browser, client):
    return browser.consent_page(client.asks())


def refused(response):
    assert response.status_code == 400, response.text
    assert "Location" not in response.headers
    assert "code=" not in response.text
    return True


def test_the_page_says_who_asks_for_what_and_where_the_answer_goes(page, client):
    for text in ("AutoGen-1775150937195-OAuthProvider", "dev12345.service-now.com", REDIRECT_URI, client.client_id, "ada", "tools:read",
        "tools:execute"):
        assert text in page.text


def test_only_what_is_asked_for_is_shown(browser, client):
    text = browser.consent_page(client.asks(scope="tools:read")).text
    assert "tools:read" in text
    assert "tools:execute" not in text


@pytest.mark.requirement("LOG-016")
@pytest.mark.parametrize(("uri", "warned"), [("http://127.0.0.1:3000/cb", True), ("http://localhost/cb", True), ("http://[::1]/cb", True),
    (REDIRECT_URI, False)])
def test_an_answer_to_ones_own_computer_is_warned_of(gateway, browser, uri, warned):
    page = browser.consent_page(gateway.register(redirect_uris=[uri]).asks())
    assert ("a program on your own computer" in page.text) == warned


@pytest.mark.requirement("LOG-010")
@pytest.mark.parametrize("decision", ["refuse", "", "APPROVE", "approve ", "x", None])
def test_everything_but_approve_refuses_and_tells_the_client(browser, page, decision):
    response = browser.decide(page, decision)
    assert response.status_code in (302, 303)
    assert query_of(response.location) == {
        "error": "access_denied", "error_description": "The person refused the request.", "state": "st4te", "iss": ISSUER}
    assert refused(browser.decide(page))


@both_back_ends
@pytest.mark.requirement("LOG-013")
def test_a_form_that_is_sent_twice_gives_one_code_and_both_answers_lead_to_it(gateway, browser, page, client, clock):
    first = browser.decide(page)
    clock.advance(REPEATED_WITHIN)
    again = browser.decide(page)
    assert (first.status_code, again.status_code) == (303, 303)
    assert first.location == again.location
    assert len(gateway.services.grants.all(clock())) == 1
    code = query_of(again.location)["code"]
    assert gateway.token(client.redeems(code)).status_code == 200
    assert gateway.token(client.redeems(code)).json["error"] == "invalid_grant"


@both_back_ends
@pytest.mark.requirement("LOG-013")
def test_a_form_whose_code_was_redeemed_is_answered_already(gateway, browser, page, client):
    tokens = gateway.token(client.redeems(query_of(browser.decide(page).location)["code"])).json
    assert refused(browser.decide(page))
    assert gateway.opens(tokens["access_token"])
    assert gateway.refresh(client, tokens["refresh_token"]).status_code == 200


@both_back_ends
@pytest.mark.requirement("LOG-013")
def test_a_form_that_is_sent_again_later_is_answered_already(open_gateway, clock):
    gateway = open_gateway(AUTHORIZATION_CODE_LIFETIME="20")
    gateway.add_user()
    client, browser = gateway.register(), Browser(gateway)
    page = browser.consent_page(client.asks())
    code = query_of(browser.decide(page).location)["code"]
    clock.advance(25)  # the code is over, and does not live again
    assert query_of(browser.decide(page).location)["code"] == code
    assert gateway.token(client.redeems(code)).json["error"] == "invalid_grant"
    clock.advance(REPEATED_WITHIN - 24)
    assert refused(browser.decide(page))


@both_back_ends
@pytest.mark.requirement("LOG-013")
def test_of_many_clicks_at_once_each_gets_the_same_code(gateway, browser, page, client, clock):
    forms, answers, barrier = hidden_fields(page) | {"decision": "approve"}, [], threading.Barrier(6)

    def click():
        other = Browser(gateway)
        other.cookie = browser.cookie
        barrier.wait(timeout=20)
        answers.append(other.post("/oauth/authorize", forms).location)

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [location] = set(answers)
    assert len(answers) == 6
    assert len(gateway.services.grants.all(clock())) == 1
    assert gateway.token(client.redeems(query_of(location)["code"])).status_code == 200


@pytest.mark.requirement("LOG-013")
@pytest.mark.parametrize(("first", "then"), [("approve", "refuse"), ("refuse", "approve")])
def test_the_first_of_two_decisions_counts(browser, page, first, then):
    assert browser.decide(page, first).status_code in (302, 303)
    assert refused(browser.decide(page, then))


def test_a_code_tells_nothing_of_the_page_it_came_from_and_two_pages_have_two(browser, client):
    codes = {query_of(browser.approve(client.asks()))["code"] for _ in range(2)}
    assert len(codes) == 2
    assert {len(code) for code in codes} == {43}


LONG_STATES = {
    "letters": "x" * 4_096, "base64": "+/=a" * 1_024, "to be escaped": " &%#" * 600, "other writing": "日" * 800,
}


@pytest.mark.parametrize("state", LONG_STATES.values(), ids=LONG_STATES.keys())
def test_a_long_state_comes_back_and_no_address_on_the_way_is_longer_than_servers_read(browser, client, state):
    asked = browser.get("/oauth/authorize", query_string=client.asks(state=state))
    page = browser.get(asked.location) if asked.status_code == 302 else asked
    after = browser.sign_in(page)
    for response in (asked, after):
        assert len(response.location or "") <= 8_000
    location = browser.decide(browser.get(after.location)).location
    assert query_of(location)["state"] == state


@pytest.mark.parametrize("way", ["GET", "POST"])
def test_a_request_that_no_browser_could_repeat_is_refused_in_words(gateway, browser, client, way):
    request = client.asks(state="日" * 1_400)
    response = browser.get("/oauth/authorize", query_string=request) if way == "GET" else browser.post("/oauth/authorize", request)
    assert response.status_code == 400
    assert "shorter state" in response.text


@pytest.mark.requirement("LOG-002")
def test_the_form_in_another_browser_is_refused(gateway, browser, page):
    gateway.add_user("eve")
    eve = Browser(gateway, "eve")
    assert refused(eve.decide(page))
    eve.sign_in()
    assert refused(eve.decide(page))
    own = hidden_fields(eve.get("/logout"))
    assert refused(eve.decide(page, csrf=own["csrf"]))
    same_person = Browser(gateway)
    same_person.sign_in()
    own = hidden_fields(same_person.get("/logout"))
    assert refused(same_person.decide(page, csrf=own["csrf"]))
    assert browser.decide(page).status_code == 303


@pytest.mark.requirement("LOG-002")
@pytest.mark.parametrize("change", [{"csrf": None}, {"csrf": ""}, {"csrf": "x"}, {"transaction": "x"}, {"transaction": "a.b.c"}])
def test_the_form_without_its_hidden_fields_is_refused(browser, page, change):
    assert refused(browser.decide(page, **change))
    assert browser.decide(page).status_code == 303


def test_a_transaction_that_was_changed_is_refused(browser, page):
    transaction = hidden_fields(page)["transaction"]
    for spoilt in (transaction[:-1], transaction + "x", transaction.swapcase(), transaction[1:], ".".join(reversed(transaction.split("."))),
        transaction.split(".")[0]):
        assert refused(browser.decide(page, transaction=spoilt))


@pytest.mark.requirement("LOG-004")
@pytest.mark.parametrize("headers", [{"Origin": "https://elsewhere.test"}, {"Origin": INSTANCE}, {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"}])
def test_the_form_from_another_site_is_refused(browser, page, headers):
    assert refused(browser.decide(page, headers=headers))
    assert browser.decide(page).status_code == 303


@pytest.mark.requirement("LOG-012")
def test_fields_that_are_added_to_the_form_count_for_nothing(gateway, browser, page, client):
    other = gateway.register()
    response = browser.decide(page, redirect_uri="https://elsewhere.test/", client_id=other.client_id, scope="tools:admin", sub="root", user_id="1",
        state="other",
                              response_type="token", code_challenge="x" * 43)
    answer = query_of(response.location)
    assert response.location.startswith(f"{REDIRECT_URI}?")
    assert answer["state"] == "st4te"
    assert gateway.token(client.redeems(answer["code"])).json["scope"] == "tools:read tools:execute"


def test_the_query_string_of_the_answer_counts_for_nothing(browser, page):
    response = browser.post("/oauth/authorize", hidden_fields(page) | {"decision": "approve"},
                            query_string={"redirect_uri": "https://elsewhere.test/", "client_id": "x", "state": "other"})
    assert query_of(response.location)["state"] == "st4te"


@pytest.mark.requirement("LOG-014")
def test_each_client_and_each_time_asks_again(gateway, browser, client):
    assert browser.approve(client.asks())
    for asking in (gateway.register(), client):
        page = browser.get("/oauth/authorize", query_string=asking.asks())
        assert page.status_code == 200
        assert "Approve" in page.text


def test_after_signing_out_the_open_page_is_worth_nothing(browser, page):
    browser.post("/logout", hidden_fields(browser.get("/logout")))
    assert refused(browser.decide(page))
    browser.sign_in()
    assert refused(browser.decide(page))


def test_after_signing_in_as_somebody_else_the_open_page_is_worth_nothing(gateway, browser, page):
    gateway.add_user("eve")
    browser.username = "eve"
    browser.sign_in()
    own = hidden_fields(browser.get("/logout"))
    assert refused(browser.decide(page))
    assert refused(browser.decide(page, csrf=own["csrf"]))


def test_the_page_can_be_answered_for_a_while_only(browser, page, clock):
    clock.advance(TRANSACTION_LIFETIME + 1)
    assert refused(browser.decide(page))


def test_a_client_that_was_removed_meanwhile_gets_no_answer(gateway, browser, page, client):
    gateway.services.clients.remove(client.client_id)
    assert refused(browser.decide(page))


def test_a_person_who_was_disabled_meanwhile_approves_nothing(gateway, browser, page):
    gateway.services.users.remove("ada")
    assert refused(browser.decide(page))


def test_the_grant_is_written_down_for_the_operator(gateway, browser, page, client, clock):
    browser.decide(page)
    [grant] = gateway.services.grants.all(clock())
    assert (grant.client_id, grant.subject) == (client.client_id, gateway.services.users.find("ada").user_id)
    assert (grant.expires_at, grant.ends_at) == (clock() + 1_209_600, clock() + 2_592_000)
    assert (grant.redirect_uri, grant.last_used_at) == (REDIRECT_URI, None)
