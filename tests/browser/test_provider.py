"""Signing in with an OpenID provider in a real browser: a certified one, on another origin, and the policies of our pages on the way."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import measuring
from tests.browser.client_application import ClientApplication
from tests.openid import RealProvider, account, environ
from tests.running import Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """One that has a provider."""
    built = Gateway(tmp_path_factory.mktemp("gateway"))
    provider = RealProvider({"ada": account("ada"), "eve": account("eve", email="eve@evil.test")}, f"{built.url}/login/oidc/callback")
    built.configured(RATE_LIMIT_OAUTH_MAX=0, **environ(provider.issuer))
    try:
        yield built.started()
    finally:
        built.stop()
        provider.stop()


@pytest.fixture(scope="module")
def client(gateway):
    application = ClientApplication(gateway)
    yield application
    application.close()


def sign_in_there(visitor, name):
    visitor.page.get_by_role("link", name="Sign in with Acme").click()
    visitor.sees("The company's sign-in")
    visitor.page.get_by_label("Name").fill(name)
    visitor.page.get_by_role("button", name="Go on").click()


def test_a_person_signs_in_at_the_provider_approves_and_the_client_gets_tokens(visitor, client):
    visitor.is_asked(state="kept")
    sign_in_there(visitor, "ada")
    visitor.sees("Let “.*” use this server?")
    expect(visitor.page.get_by_role("main")).to_contain_text("You are signed in as ada.")
    visitor.approve()
    arrived = visitor.is_back_in_the_client()
    assert arrived["state"] == "kept"
    assert client.redeems(arrived["code"])["access_token"]


def test_a_request_that_came_as_a_form_of_another_site_leads_there_and_back_too(visitor, client):
    visitor.page.goto(client.posts())
    visitor.page.get_by_role("button", name="Connect").click()
    sign_in_there(visitor, "ada")
    visitor.approve()
    visitor.is_back_in_the_client()


def test_who_is_refused_reads_why_and_finds_the_way_back_to_the_same_request(visitor):
    visitor.is_asked(state="kept")
    sign_in_there(visitor, "eve")
    visitor.sees("You are not signed in")
    expect(visitor.page.get_by_role("main")).to_contain_text("E-mail addresses of your domain may not use this server.")
    visitor.page.get_by_role("link", name="Back to the sign-in").click()
    visitor.sees("Sign in")
    expect(visitor.page.get_by_role("main")).to_contain_text("An application asks to use this server in your name.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_can_be_read_and_pressed_on_a_narrow_screen(new_visitor, scheme):
    visitor = new_visitor(color_scheme=scheme, viewport={"width": 320, "height": 568})
    faults = {}

    def look(name):
        page = visitor.page
        faults[name] = [*measuring.pale_texts(page), *measuring.pale_borders(page), *measuring.what_sticks_out(page), *measuring.small_targets(page)]

    visitor.is_asked()
    look("sign in")
    sign_in_there(visitor, "eve")
    visitor.sees("You are not signed in")
    look("refused")
    visitor.page.goto("/logout")
    look("signed out")
    assert faults == {"sign in": [], "refused": [], "signed out": []}
