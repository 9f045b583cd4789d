"""A page that can no longer be answered says what to do."""

from __future__ import annotations

import time
from urllib.parse import urlencode

import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from playwright.sync_api import expect

from mcp_server.oauth.credentials import derive_key
from tests.running import SECRETS

OUT_OF_DATE = "This page is out of date."


def aged(transaction, seconds):
    """The same transaction, signed that long ago."""
    class Earlier(TimestampSigner):
        def get_timestamp(self):
            return int(time.time()) - seconds

    signing = (derive_key(SECRETS["JWT_SECRET"], "cookies v1").hex(), "authorization transaction v1")
    return URLSafeTimedSerializer(*signing, signer=Earlier).dumps(URLSafeTimedSerializer(*signing).loads(transaction))


def answer_with(visitor, change):
    field = visitor.page.locator("[name=transaction]")
    field.evaluate("(field, value) => { field.value = value }", change(field.input_value()))
    visitor.approve()


def test_a_page_answered_in_time_is_good(visitor):
    visitor.is_asked_and_signs_in()
    answer_with(visitor, lambda transaction: aged(transaction, 590))
    assert "code" in visitor.is_back_in_the_client()


@pytest.mark.parametrize("change", [
    pytest.param(lambda transaction: aged(transaction, 610), id="expired"),
    pytest.param(lambda transaction: "x" + transaction, id="tampered"),
])
def test_a_transaction_that_is_expired_or_tampered_with_says_to_start_again(visitor, client, change):
    before = len(client.arrived)
    visitor.is_asked_and_signs_in()
    answer_with(visitor, change)
    visitor.is_told_to_start_again(OUT_OF_DATE)
    assert len(client.arrived) == before


@pytest.mark.requirement("LOG-013")
def test_the_same_page_answered_again_after_its_code_was_used_says_that_it_was_answered(visitor, client):
    visitor.is_asked_and_signs_in()
    sent = visitor.page.locator("[name=transaction]").input_value()
    visitor.approve()
    client.redeems(visitor.is_back_in_the_client()["code"])
    visitor.is_asked()
    answer_with(visitor, lambda _: sent)
    visitor.is_told_to_start_again("This page was answered already.")


def test_the_back_button_after_approving_brings_a_new_page_whose_answer_arrives(visitor):
    visitor.is_asked_and_signs_in()
    visitor.approve()
    first = visitor.is_back_in_the_client()
    visitor.page.go_back()
    visitor.approve()
    assert visitor.is_back_in_the_client()["code"] != first["code"]


def test_a_consent_page_left_open_after_signing_out_elsewhere_says_to_start_again(visitor):
    visitor.is_asked_and_signs_in()
    consent = visitor.new_tab()
    visitor.page.goto("/logout")
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.sees("You are signed out")
    visitor.page = consent
    visitor.approve()
    visitor.is_told_to_start_again(OUT_OF_DATE)


def test_a_sign_in_page_left_open_after_signing_in_elsewhere_says_to_start_again(visitor):
    visitor.is_asked()
    other = visitor.new_tab()
    visitor.is_asked_and_signs_in()
    visitor.page = other
    visitor.sign_in()
    visitor.is_told_to_start_again(OUT_OF_DATE)


def test_an_unknown_client_is_told_to_the_person_and_never_redirected(visitor, client):
    visitor.page.goto(f"/oauth/authorize?{urlencode(client.request(client_id='unknown'))}")
    visitor.sees("The request cannot be answered")
    expect(visitor.page.get_by_role("main")).to_contain_text("The client is not known here. Register it again")
    expect(visitor.page.get_by_role("main")).to_contain_text("The operator of this server finds this request in the log under that id.")


def test_too_many_wrong_passwords_from_one_address_say_when_to_try_again(visitor):
    visitor.page.goto("/login")
    for _ in range(10):
        visitor.sign_in("wrong")
        expect(visitor.page.get_by_role("alert")).to_be_visible()
    visitor.sign_in()
    visitor.sees("The request cannot be answered")
    expect(visitor.page.get_by_role("main")).to_contain_text("Try again in")


def test_too_many_wrong_passwords_for_one_name_say_what_to_do_and_the_owner_goes_on(visitor, new_visitor):
    visitor.is_asked_and_signs_in()
    visitor.page.goto("/logout")
    visitor.page.get_by_role("button", name="Sign out").click()
    for _ in range(2):
        stranger = new_visitor()
        stranger.page.goto("/login")
        for _ in range(10):
            stranger.sign_in("wrong")
            expect(stranger.page.get_by_role("alert")).to_have_text("The user name or the password is not right.")
    late = new_visitor()
    late.page.goto("/login")
    late.sign_in()
    expect(late.page.get_by_role("alert")).to_contain_text("Too many wrong passwords were given for this user name.")
    expect(late.page.get_by_role("alert")).to_contain_text("flask users unlock")
    expect(late.page.get_by_label("User name")).to_have_value("ada")
    visitor.page.goto("/login")
    visitor.sign_in()
    visitor.sees("Your approvals")
