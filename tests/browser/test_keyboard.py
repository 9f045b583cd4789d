"""Without a pointer."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import measuring
from tests.browser.visitor import PASSWORD, USERNAME


def is_visible(outline):
    return outline["style"] not in ("none", "auto") and outline["width"] >= 2 and outline["contrast"] >= 3


def test_tab_and_enter_sign_in_and_approve(visitor):
    visitor.is_asked()
    keyboard, page = visitor.page.keyboard, visitor.page
    expect(page.get_by_label("User name")).to_be_focused()
    keyboard.type(USERNAME)
    keyboard.press("Tab")
    expect(page.get_by_label("Password")).to_be_focused()
    keyboard.type(PASSWORD)
    keyboard.press("Enter")
    visitor.sees("Let “.*” use this server?")
    keyboard.press("Tab")
    expect(page.get_by_role("button", name="Approve")).to_be_focused()
    keyboard.press("Enter")
    assert "code" in visitor.is_back_in_the_client()


def test_tab_and_space_press_the_buttons_and_refuse(visitor):
    visitor.is_asked()
    keyboard = visitor.page.keyboard
    expect(visitor.page.get_by_label("User name")).to_be_focused()
    for text in (USERNAME, PASSWORD):
        keyboard.type(text)
        keyboard.press("Tab")
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_focused()
    keyboard.press("Space")
    visitor.sees("Let “.*” use this server?")
    keyboard.press("Tab")
    keyboard.press("Tab")
    expect(visitor.page.get_by_role("button", name="Refuse")).to_be_focused()
    keyboard.press("Space")
    assert visitor.is_back_in_the_client()["error"] == "access_denied"


def test_enter_approves_nothing_before_a_button_has_the_focus(visitor, client):
    visitor.is_asked_and_signs_in()
    before = len(client.arrived)
    visitor.page.keyboard.press("Enter")
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_role("button", name="Approve")).to_be_focused()
    assert len(client.arrived) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_tab_reaches_every_control_and_shows_where_it_is(new_visitor, every_page, scheme):
    visitor = new_visitor(color_scheme=scheme)
    page = visitor.page
    for name in every_page(visitor):
        controls = page.locator("a, button, select, input:not([type=hidden]), [tabindex='0']").all()
        page.evaluate("document.activeElement.blur()")
        page.locator(".brand").click()
        page.keyboard.press("Shift+Tab")  # nothing stands before it: the next Tab begins at the top
        page.evaluate("document.activeElement.blur()")
        for control in controls:
            page.keyboard.press("Tab")
            expect(control, name).to_be_focused()
            outline = measuring.outline_of_the_focused(page)
            assert is_visible(outline), (name, control, outline)
