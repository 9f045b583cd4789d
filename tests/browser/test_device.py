"""A machine without a browser, and a person with one."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import PASSWORD

WARNING = "Approve only if you started this yourself, just now"


@pytest.mark.requirement("DEV-022")
def test_a_person_types_the_code_signs_in_reads_who_asks_and_the_machine_gets_its_tokens(visitor, client, somebody):
    answer, poll = client.asks_on_a_device()
    page = visitor.page
    page.goto(answer["verification_uri"])
    visitor.has_title("Connect a device")
    expect(page.get_by_label("Code")).to_be_focused()
    visitor.types_the_code(answer["user_code"].lower().replace("-", " "))
    visitor.sees("Sign in")
    expect(page.get_by_role("main")).to_contain_text("A device asks to use this server in your name.")
    visitor.sign_in(username=somebody)
    visitor.sees("Let “A machine without a screen” on a device use this server?")
    expect(page.locator(".user-code")).to_have_text(answer["user_code"])
    expect(page.get_by_role("main")).to_contain_text(WARNING)
    assert poll()["error"] == "authorization_pending"
    visitor.approve()
    visitor.sees("“A machine without a screen” may use this server")
    expect(page.get_by_role("main")).to_contain_text("Go back to your device")
    assert poll()["access_token"]


@pytest.mark.requirement("DEV-021")
def test_the_link_fills_the_code_in_and_a_person_clicks_twice(visitor, client, somebody):
    answer, poll = client.asks_on_a_device()
    page = visitor.page
    page.goto("/login")
    visitor.sign_in(username=somebody)
    visitor.sees("Your approvals")
    page.goto(answer["verification_uri_complete"])
    visitor.sees("Does your device show this code?")
    expect(page.locator(".user-code")).to_have_text(answer["user_code"])
    expect(page.get_by_role("note")).to_contain_text("If somebody sent you this link or this code, close this page")
    page.get_by_role("button", name="Continue").click()
    visitor.sees("Let “.*” on a device use this server?")
    assert poll()["error"] == "authorization_pending"
    visitor.refuse()
    visitor.sees("Refused")
    assert poll()["error"] == "access_denied"


def test_a_wrong_code_says_so_and_the_field_is_ready_for_the_right_one(visitor, client, somebody):
    answer, _ = client.asks_on_a_device()
    page = visitor.page
    page.goto("/device")
    visitor.types_the_code_and_signs_in("bcdf-ghjk", somebody)
    visitor.has_title("Error: Connect a device")
    expect(page.get_by_role("alert")).to_contain_text("This code is not right, or it is no longer good.")
    expect(page.get_by_label("Code")).to_have_value("bcdf-ghjk")
    expect(page.get_by_label("Code")).to_be_focused()
    expect(page.get_by_label("Code")).to_have_accessible_description(f"{page.get_by_role('alert').inner_text()} {page.locator('#how').inner_text()}")
    visitor.types_the_code(answer["user_code"])
    visitor.sees("Let “.*” on a device use this server?")


@pytest.mark.requirement("DEV-025")
def test_a_page_that_was_answered_already_says_so(visitor, client, somebody):
    answer, _ = client.asks_on_a_device()
    visitor.page.goto("/device")
    visitor.types_the_code_and_signs_in(answer["user_code"], somebody)
    visitor.sees("Let “.*” on a device use this server?")
    open_page = visitor.new_tab()
    visitor.page.goto("/device")
    visitor.types_the_code(answer["user_code"])
    visitor.approve()
    visitor.sees("“.*” may use this server")
    visitor.page = open_page
    visitor.approve()
    visitor.sees("The request cannot be answered")
    expect(visitor.page.get_by_role("main")).to_contain_text("it was answered already. If your device still waits, start again there")


def test_the_keyboard_alone_connects_a_device(visitor, client, somebody):
    answer, poll = client.asks_on_a_device()
    page, keyboard = visitor.page, visitor.page.keyboard
    page.goto("/device")
    expect(page.get_by_label("Code")).to_be_focused()
    keyboard.type(answer["user_code"])
    keyboard.press("Enter")
    expect(page.get_by_label("User name")).to_be_focused()
    keyboard.type(somebody)
    keyboard.press("Tab")
    keyboard.type(PASSWORD)
    keyboard.press("Enter")
    visitor.sees("Let “.*” on a device use this server?")
    keyboard.press("Enter")  # approves nothing
    keyboard.press("Tab")
    expect(page.get_by_role("button", name="Approve")).to_be_focused()
    assert poll()["error"] == "authorization_pending"
    keyboard.press("Tab")
    expect(page.get_by_role("button", name="Refuse")).to_be_focused()
    keyboard.press("Shift+Tab")
    keyboard.press("Space")
    visitor.sees("“.*” may use this server")
    assert poll()["access_token"]


def test_the_page_that_asks_says_who_what_and_from_where_before_it_asks(visitor, client, somebody):
    answer, _ = client.asks_on_a_device()
    visitor.page.goto("/device")
    visitor.types_the_code_and_signs_in(answer["user_code"], somebody)
    expect(visitor.page.get_by_role("main")).to_match_aria_snapshot(f"""
        - main:
          - heading "Let “A machine without a screen” on a device use this server?" [level=1]
          - paragraph: Does your device show this code? If it does not, refuse.
          - paragraph: {answer["user_code"]}
          - note: /{WARNING}/
          - paragraph:
            - text: You are signed in as
            - strong: {somebody}
          - list:
            - listitem:
              - text: See which tools this server offers
            - listitem:
              - text: /Use the tools/
          - term: The device asked
          - definition:
            - text: less than a minute ago, from
            - strong: 127.0.0.1
            - text: /You come from another address/
          - button "Approve"
          - button "Refuse"
          - paragraph:
            - link "Sign out"
        """)
