"""Signing in and out."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import USERNAME


@pytest.mark.requirement("LOG-006")
def test_a_wrong_password_says_so_keeps_the_user_name_and_waits_for_the_password(visitor):
    said = []
    visitor.is_asked()
    for username in (USERNAME, "nobody-of-that-name"):
        visitor.sign_in("wrong", username)
        page = visitor.page
        expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_label("User name")).to_have_value(username)
        expect(page.get_by_label("Password")).to_have_value("")
        expect(page.get_by_label("Password")).to_be_focused()
        expect(page.get_by_label("Password")).to_have_accessible_description(page.get_by_role("alert").inner_text())
        visitor.has_title("Error: Sign in")
        said.append(page.get_by_role("main").inner_text())
    known, unknown = said
    assert known == unknown


def test_after_a_wrong_password_the_right_one_leads_on_to_the_same_request(visitor):
    visitor.is_asked(state="kept")
    visitor.sign_in("wrong")
    expect(visitor.page.get_by_role("alert")).to_be_visible()
    visitor.sign_in()
    visitor.approve()
    assert visitor.is_back_in_the_client()["state"] == "kept"


def test_a_user_name_with_markup_comes_back_as_it_was_typed(visitor):
    typed = '"><img src=x onerror=alert(1)>'
    visitor.page.goto("/login")
    visitor.sign_in("wrong", typed)
    expect(visitor.page.get_by_role("alert")).to_be_visible()
    expect(visitor.page.get_by_label("User name")).to_have_value(typed)
    expect(visitor.page.locator("img")).to_have_count(0)


def test_an_empty_form_is_not_sent(visitor):
    visitor.page.goto("/login")
    visitor.page.get_by_role("button", name="Sign in").click()
    expect(visitor.page.get_by_label("User name")).to_be_focused()
    assert visitor.page.get_by_label("User name").evaluate("field => field.validity.valueMissing")


def test_a_password_manager_finds_its_fields(visitor):
    visitor.page.goto("/login")
    expect(visitor.page.get_by_label("User name")).to_have_attribute("autocomplete", "username")
    expect(visitor.page.get_by_label("Password")).to_have_attribute("autocomplete", "current-password")
    expect(visitor.page.get_by_label("Password")).to_have_attribute("type", "password")


def test_signing_out_ends_the_session_and_the_back_button_shows_nothing_of_it(visitor):
    visitor.is_asked_and_signs_in()
    visitor.page.get_by_role("link", name="Sign out").click()
    visitor.sees("You are signed in")
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.sees("You are signed out")
    expect(visitor.page.get_by_role("main")).to_contain_text("To go on with an application, go back to it and start again.")
    visitor.is_asked()
    visitor.sees("Sign in")
    visitor.page.go_back()
    visitor.page.go_back()
    visitor.page.go_back()
    visitor.sees("Sign in")


def test_signing_in_without_an_application_says_who_is_signed_in(visitor):
    visitor.page.goto("/login")
    visitor.sign_in()
    visitor.sees("Your approvals")
    expect(visitor.page.get_by_role("main")).to_contain_text("You are signed in as ada.")
