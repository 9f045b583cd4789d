"""What others may try with our pages."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

HOSTILE = '<script>document.title="owned"</script><img src=x onerror="document.title=1"><b>bold</b>"\'&amp;'


@pytest.mark.requirement("AUT-037")
def test_markup_in_a_clients_name_is_shown_as_text(visitor, client):
    registered = client.register(HOSTILE, client_uri="https://example.com/<b>x</b>")
    visitor.is_asked_and_signs_in(client_id=registered["client_id"])
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(f"Let “{HOSTILE}” use this server?")
    visitor.has_title(f"Approve {HOSTILE}")
    expect(visitor.page.get_by_text("https://example.com/<b>x</b>")).to_be_visible()
    expect(visitor.page.locator("main :is(script, img, b)")).to_have_count(0)


def test_a_name_written_from_right_to_left_does_not_turn_our_own_words_round(visitor, client):
    registered = client.register("\u202egro.live")
    visitor.is_asked_and_signs_in(client_id=registered["client_id"])
    name, ours = visitor.page.evaluate("""() => {
        const [, name, ours] = document.querySelector('h1').childNodes, range = document.createRange();
        return [name, ours].map(part => { range.selectNodeContents(part); return range.getBoundingClientRect().left });
    }""")
    assert name < ours


@pytest.mark.requirement("AUT-034")
@pytest.mark.parametrize("page", ["/login", "/logout", "/oauth/authorize", "/nothing"])
def test_a_page_in_a_frame_of_another_site_stays_empty(visitor, client, page):
    with visitor.page.expect_event("console", lambda message: "frame-ancestors" in message.text):
        visitor.page.goto(client.frames(visitor.gateway.url + page))
    expect(visitor.page.frame_locator("[name=inner]").get_by_role("heading", level=1)).to_have_count(0)
    visitor.complained("frame-ancestors")


def test_the_same_frame_would_show_the_page_without_our_headers(visitor, client):
    def without_our_headers(route):
        response = route.fetch()
        kept = {name: value for name, value in response.headers.items() if name not in ("content-security-policy", "x-frame-options")}
        route.fulfill(response=response, headers=kept)

    visitor.page.route(re.compile(r"/login$"), without_our_headers)
    visitor.page.goto(client.frames(f"{visitor.gateway.url}/login"))
    expect(visitor.page.frame_locator("[name=inner]").get_by_role("heading", level=1)).to_have_text("Sign in")
    visitor.complaints.clear()


def test_a_form_of_another_site_signs_nobody_in(visitor, client):
    """Their page knows a csrf value of its own session, never that of this browser's."""
    visitor.page.goto(f"{client.origin}/post?action={visitor.gateway.url}/login&username=ada&password=x&csrf=x")
    visitor.page.get_by_role("button", name="Connect").click()
    visitor.is_told_to_start_again("This page is out of date.")


def test_a_script_that_gets_into_a_page_does_not_run(visitor, client):
    """Should a text ever be shown as markup, the policy is what is left."""
    def with_a_script(route):
        response = route.fetch()
        route.fulfill(response=response, body=response.text().replace("<h1>", "<script>document.title = 'owned'</script><h1>"))

    visitor.page.route(re.compile(r"/login$"), with_a_script)
    with visitor.page.expect_event("console", lambda message: "Content Security Policy" in message.text):
        visitor.page.goto("/login")
    visitor.has_title("Sign in")
    visitor.complained("script")
