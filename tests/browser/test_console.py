"""The operators' console in a browser: a client that connects, is seen, and is ended."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.test_approvals import opens


def test_an_operator_sees_who_connected_and_ends_it(gateway, new_visitor, client):
    person, operator = new_visitor(), new_visitor()
    person.is_asked_and_signs_in()
    person.approve()
    tokens = client.redeems(person.is_back_in_the_client()["code"])
    assert opens(gateway, tokens)
    operator.opens_the_console()
    page = operator.page
    page.get_by_role("link", name="Approvals").click()
    operator.sees("Approvals")
    row = page.get_by_role("row").filter(has_text="ada")
    expect(row).to_have_count(1)
    row.get_by_role("button", name="End").click()
    expect(page.get_by_role("status")).to_contain_text("The approval is ended")
    assert not opens(gateway, tokens)
    page.get_by_role("link", name="Events").click()
    operator.sees("Events")
    expect(page.get_by_role("row").filter(has_text="grants_revoked").first).to_contain_text("operator: grace")


def test_a_secret_is_gone_when_the_page_is_loaded_again(new_visitor):
    operator = new_visitor()
    operator.opens_the_console()
    page = operator.page
    page.get_by_role("link", name="Registration tokens").click()
    operator.sees("Registration tokens")
    token = operator.makes_a_registration_token("Acmé's admin")
    page.reload()  # the browser sends the form again
    operator.sees("The request cannot be answered")
    expect(page.get_by_role("main")).to_contain_text("done already")
    page.goto("/operator/registration-tokens")
    expect(page.get_by_role("row").filter(has_text="Acmé's admin")).to_have_count(1)
    assert token not in page.content()


def test_what_ends_a_client_for_good_asks_first_and_all_of_it_works_from_the_keyboard(new_visitor, client):
    registered = client.register("one to be revoked")
    operator = new_visitor()
    operator.opens_the_console()
    page = operator.page
    page.goto("/operator/clients?q=one+to+be+revoked")
    page.get_by_role("button", name="Revoke: one to be revoked").focus()
    page.keyboard.press("Enter")
    operator.sees("Revoke “one to be revoked”")
    page.get_by_role("button", name="Revoke").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(re.compile("is revoked, with all of its tokens"))
    page.goto(f"/operator/clients?q={registered['client_id']}")
    expect(page.get_by_role("main")).to_contain_text("No client has")
