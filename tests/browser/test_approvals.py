"""The page of one's approvals, with the keyboard, and what the application notices."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect


@pytest.fixture
def approved(visitor, client):
    """The tokens of an approval, and the visitor on the page of approvals."""
    visitor.is_asked_and_signs_in()
    visitor.approve()
    tokens = client.redeems(visitor.is_back_in_the_client()["code"])
    visitor.page.goto("/grants")
    return tokens


def opens(gateway, tokens):
    status, _ = gateway.request("POST", "/mcp", '{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}', {
        "Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {tokens['access_token']}"})
    assert status in (200, 401)
    return status == 200


def test_signing_in_without_an_application_leads_to_ones_approvals_and_out_again(visitor):
    visitor.page.goto("/login")
    visitor.sign_in()
    visitor.sees("Your approvals")
    expect(visitor.page.get_by_role("main")).to_contain_text("No application can use this server in your name.")
    visitor.page.goto("/logout")
    visitor.page.get_by_role("link", name="your approvals").click()
    visitor.sees("Your approvals")
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.sees("You are signed out")


def test_the_page_reads_in_order(visitor, client, approved):
    expect(visitor.page.get_by_role("main")).to_match_aria_snapshot(f"""
        - main:
          - heading "Your approvals" [level=1]
          - paragraph:
            - text: You are signed in as
            - strong: ada
            - text: /This application can use this server in your name/
          - region "The laptop's editor":
            - heading "The laptop's editor" [level=2]
            - list:
              - listitem:
                - text: See which tools this server offers
              - listitem:
                - text: /Use the tools/
            - term: The answer goes to
            - definition:
              - strong: {client.origin.removeprefix("http://")}
            - term: Client id
            - definition: {client.client_id}
            - term: Approved
            - definition: /UTC/
            - term: Access last renewed
            - definition: /UTC/
            - term: Ends by itself
            - definition: /UTC/
            - button "Withdraw The laptop's editor"
          - button "Sign out"
        """)


@pytest.mark.parametrize("javascript", [True, False])
def test_withdrawing_from_the_keyboard_ends_the_tokens_and_says_so(new_visitor, client, gateway, javascript):
    visitor = new_visitor(java_script_enabled=javascript)
    visitor.is_asked_and_signs_in()
    visitor.approve()
    tokens = client.redeems(visitor.is_back_in_the_client()["code"])
    assert opens(gateway, tokens)
    visitor.page.goto("/grants")
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_role("button", name="Withdraw")).to_be_focused()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("status")).to_contain_text("“The laptop's editor” can no longer use this server in your name.")
    expect(visitor.page.get_by_role("main")).to_contain_text("No application can use this server in your name.")
    assert not opens(gateway, tokens)
    visitor.is_asked()
    visitor.sees("Let “The laptop's editor” use this server?")
