"""What a screen reader is told."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.visitor import SITE

TITLES = {
    "sign in": "Sign in", "wrong password": "Error: Sign in", "consent": "Approve The laptop's editor",
    "stale consent": "The request cannot be answered", "no approvals": "Your approvals", "approvals": "Your approvals", "withdrawn": "Your approvals",
    "device": "Connect a device", "device, wrong code": "Error: Connect a device", "device approved": "Approved", "device refused": "Refused",
    "device, approve or refuse": "Approve A machine without a screen on a device",
    "sign out": "Sign out", "signed out": "Signed out", "unknown client": "The request cannot be answered", "not found": "Not Found"}


def test_every_page_has_a_language_a_title_of_its_own_one_heading_and_one_main_part(visitor, every_page):
    page, seen = visitor.page, {}
    for name in every_page(visitor):
        seen[name] = page.title()
        expect(page.locator("html"), name).to_have_attribute("lang", "en")
        expect(page.get_by_role("heading", level=1), name).to_have_count(1)
        expect(page.get_by_role("main"), name).to_have_count(1)
        expect(page.locator("script, iframe, img, [style], [onclick]"), name).to_have_count(0)
    assert TITLES.items() <= {name: title.removesuffix(SITE) for name, title in seen.items()}.items()


def test_every_field_and_button_has_a_name(visitor, every_page):
    for name in every_page(visitor):
        for field in visitor.page.locator("input:not([type=hidden])").all():
            assert field.evaluate("field => field.labels.length") == 1, name
        for control in visitor.page.locator("a, button, input:not([type=hidden])").all():
            expect(control, name).not_to_have_accessible_name("")


def test_the_sign_in_page_reads_in_order(visitor):
    visitor.is_asked()
    expect(visitor.page.get_by_role("main")).to_match_aria_snapshot("""
        - main:
          - paragraph: ServiceNow MCP gateway
          - heading "Sign in" [level=1]
          - paragraph: /An application asks to use this server in your name/
          - text: User name
          - textbox "User name"
          - text: Password
          - textbox "Password"
          - button "Sign in"
          - paragraph: /The operator of this server/
        """)


def test_a_wrong_password_is_an_alert_before_the_fields(visitor):
    visitor.is_asked()
    visitor.sign_in("wrong")
    expect(visitor.page.get_by_role("main")).to_match_aria_snapshot("""
        - main:
          - heading "Sign in" [level=1]
          - alert: The user name or the password is not right.
          - textbox "User name": ada
          - textbox "Password"
          - button "Sign in"
        """)


def test_the_consent_page_says_who_what_and_where_before_it_asks(visitor, client):
    visitor.is_asked_and_signs_in()
    expect(visitor.page.get_by_role("main")).to_match_aria_snapshot(f"""
        - main:
          - heading "Let “The laptop's editor” use this server?" [level=1]
          - paragraph:
            - text: You are signed in as
            - strong: ada
          - list:
            - listitem:
              - text: See which tools this server offers
            - listitem:
              - text: /Use the tools/
          - term: The answer goes to
          - definition:
            - strong: {client.origin.removeprefix("http://")}
          - note: /a program on your own computer/
          - button "Approve"
          - button "Refuse"
          - paragraph:
            - link "Sign out"
        """)
