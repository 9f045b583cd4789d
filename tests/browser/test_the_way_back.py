"""Sign in, decide, and the answer arrives at the client: the redirect after a form is where browsers differ from programs."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from playwright.sync_api import Error, expect

from tests.browser.visitor import PASSWORD


def test_signing_in_and_approving_brings_a_code_to_the_client(visitor, client, gateway):
    visitor.is_asked_and_signs_in(state="a state & <more>")
    visitor.approve()
    arrived = visitor.is_back_in_the_client()
    assert arrived.keys() == {"code", "state", "iss"}
    assert (arrived["state"], arrived["iss"]) == ("a state & <more>", gateway.url)
    assert client.redeems(arrived["code"])["token_type"] == "Bearer"


@pytest.mark.requirement("LOG-010")
def test_refusing_brings_access_denied_to_the_client(visitor, gateway):
    visitor.is_asked_and_signs_in(state="mine")
    visitor.refuse()
    arrived = visitor.is_back_in_the_client()
    assert "code" not in arrived
    assert (arrived["error"], arrived["state"], arrived["iss"]) == ("access_denied", "mine", gateway.url)


def test_without_the_clients_origin_in_form_action_the_browser_stops_the_redirect(visitor, client):
    """The trap that the header is made for: Chromium holds the redirect after a form to the form's own policy."""
    def take_the_client_out(route):
        response = route.fetch(max_redirects=0)
        policy = response.headers.get("content-security-policy", "").replace(f"form-action 'self' {client.origin}", "form-action 'self'")
        route.fulfill(response=response, headers={**response.headers, "content-security-policy": policy})

    visitor.is_asked_and_signs_in()
    visitor.page.route(re.compile(r"/oauth/authorize\?"), take_the_client_out)
    visitor.page.reload()
    before = len(client.arrived)
    with visitor.page.expect_event("console", lambda message: "form-action" in message.text):
        visitor.approve()
    assert len(client.arrived) == before
    visitor.complained("form-action")


def test_everything_works_without_javascript(new_visitor, client):
    visitor = new_visitor(java_script_enabled=False)
    visitor.is_asked()
    visitor.sign_in("wrong")
    expect(visitor.page.get_by_role("alert")).to_be_visible()
    visitor.page.get_by_label("Password").fill(PASSWORD)
    visitor.page.get_by_role("button", name="Sign in").click()
    visitor.refuse()
    assert visitor.is_back_in_the_client()["error"] == "access_denied"
    visitor.is_asked()
    visitor.approve()
    assert client.redeems(visitor.is_back_in_the_client()["code"])
    visitor.page.goto("/logout")
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.sees("You are signed out")


def test_a_client_may_send_its_request_as_a_form(visitor, client):
    visitor.page.goto(client.posts())
    visitor.page.get_by_role("button", name="Connect").click()
    visitor.sign_in()
    visitor.approve()
    assert visitor.is_back_in_the_client()["state"] == "st4te"


def test_who_is_signed_in_is_asked_at_once_and_told_who_they_are(visitor):
    visitor.is_asked_and_signs_in()
    visitor.is_asked()
    visitor.sees("Let “The laptop's editor” use this server?")
    expect(visitor.page.get_by_role("main")).to_contain_text("You are signed in as ada.")


@pytest.mark.requirement("AUT-042")
def test_two_requests_in_two_tabs_keep_their_own_state(visitor, client):
    visitor.is_asked_and_signs_in(state="first")
    first = visitor.new_tab()
    visitor.is_asked(state="second")
    visitor.approve()
    second_answer = visitor.is_back_in_the_client()
    visitor.page = first
    visitor.approve()
    first_answer = visitor.is_back_in_the_client()
    assert (first_answer["state"], second_answer["state"]) == ("first", "second")
    assert first_answer["code"] != second_answer["code"]
    assert client.redeems(first_answer["code"])
    assert client.redeems(second_answer["code"])


@pytest.mark.requirement("LOG-013")
def test_a_second_click_while_the_first_answer_is_on_its_way_loses_nothing(visitor, client):
    """Chromium drops the redirect that it was about to follow, and waits for the answer to the second form."""
    answers, held = [], []

    def the_first_answer_never_arrives(route):
        response = route.fetch(max_redirects=0)
        answers.append(response.headers["location"])
        if len(answers) > 1:
            route.fulfill(response=response)
        else:
            held.append(route)

    visitor.is_asked_and_signs_in()
    visitor.page.route(re.compile(r"/oauth/authorize$"), the_first_answer_never_arrives)
    button = visitor.page.get_by_role("button", name="Approve")
    button.evaluate("button => { button.click(); setTimeout(() => button.click(), 300) }")
    arrived = visitor.is_back_in_the_client()
    assert len(answers) == 2
    assert answers[0] == answers[1]
    assert client.redeems(arrived["code"])["token_type"] == "Bearer"
    with suppress(Error):  # the browser has forgotten it
        held[0].abort()
    visitor.complaints.clear()  # of the first form


@pytest.mark.requirement("AUT-001")
@pytest.mark.parametrize("state", ["x" * 4_096, "\u65e5" * 750, " &%#" * 500], ids=["letters", "other writing", "to be escaped"])
def test_a_long_state_comes_back_through_the_sign_in(visitor, state):
    visitor.is_asked_and_signs_in(state=state)
    visitor.approve()
    assert visitor.is_back_in_the_client()["state"] == state
