"""Signing in with a certified provider in a process of its own, from an authorization request to tokens."""

from __future__ import annotations

import pytest

from tests.gateway import Browser, query_of
from tests.identity.conftest import PEOPLE
from tests.openid import CALLBACK, DOMAIN, GROUP, AtTheProvider, environ


@pytest.fixture
def gateway(open_gateway, real_provider):
    return open_gateway(**environ(real_provider.issuer, OIDC_ALLOWED_GROUPS=GROUP))


@pytest.fixture
def client(gateway):
    return gateway.register()


def sign_in(browser, login="ada", after="/logout", at=None):
    begun = browser.get("/login/oidc", query_string={"next": after})
    assert begun.status_code == 303, begun.text
    back = (at or AtTheProvider()).goes_to(begun.location, login)
    return browser.get(back.removeprefix(CALLBACK.removesuffix("/login/oidc/callback")))


@pytest.mark.requirement("OID-001")
def test_a_person_of_the_provider_approves_an_application_and_it_gets_tokens(gateway, client, log):
    browser = Browser(gateway)
    asked = browser.get("/oauth/authorize", query_string=client.asks())
    page = browser.get(asked.location)
    assert "Sign in with Acme" in page.text
    back = sign_in(browser, after=query_of(asked.location)["next"])
    assert back.status_code == 303, back.text
    consent = browser.get(back.location)
    assert "You are signed in as <strong>ada</strong>" in consent.text
    code = query_of(browser.decide(consent).location)["code"]
    tokens = gateway.token(client.redeems(code)).json
    assert gateway.opens(tokens["access_token"])
    [user] = gateway.services.users.all()
    assert gateway.services.access_tokens.verify(tokens["access_token"]).subject == user.user_id
    assert (user.username, user.password_hash, user.external_subject) == ("ada", "", PEOPLE["ada"]["sub"])
    [line] = log.audited("sign_in")
    assert (line["result"], line["user_id"], line["details"]["provider"]) == ("success", user.user_id, user.issuer)
    assert code not in log.text


def test_the_same_person_is_the_same_account_at_every_sign_in(gateway):
    for _ in range(2):
        assert sign_in(Browser(gateway)).status_code == 303
    assert len(gateway.services.users.all()) == 1


@pytest.mark.parametrize(("login", "why"), [
    ("eve", "E-mail addresses of your domain may not use this server"), ("bob", "did not say that your e-mail address is verified"),
    ("zoe", "You are in none of the groups"), ("nobody", "Acme refused the sign-in")])
def test_who_may_not_come_in_is_told_why_and_no_account_is_made(gateway, login, why, log):
    page = sign_in(Browser(gateway), login)
    assert (page.status_code, why in page.text) == (403, True), page.text
    assert 'href="/login?next=' in page.text
    assert gateway.services.users.all() == []
    [line] = log.audited("sign_in")
    assert line["result"] == "failure"


@pytest.mark.requirement("OID-008")
def test_prompt_login_makes_the_person_give_proof_at_the_provider_again(gateway, client):
    browser, at = Browser(gateway), AtTheProvider()
    after = "/oauth/authorize?" + "&".join(f"{name}={value}" for name, value in client.asks(prompt="login", scope=None, redirect_uri=None).items())
    assert sign_in(browser, at=at).status_code == 303
    assert at.forms == 1
    assert browser.get(after).location.startswith("/login")  # known from before is not enough
    begun = sign_in(browser, after=after, at=at)
    assert (begun.status_code, begun.location, at.forms) == (303, after, 2)
    assert "use this server?" in browser.get(after).text


def test_without_prompt_login_a_person_who_is_known_there_just_comes_back(gateway):
    at = AtTheProvider()
    for _ in range(2):
        assert sign_in(Browser(gateway), at=at).status_code == 303
    assert at.forms == 1


def test_everybody_of_the_provider_may_come_in_when_the_operator_says_so(open_gateway, real_provider):
    gateway = open_gateway(**environ(real_provider.issuer, OIDC_ALLOWED_DOMAINS="*"))
    assert sign_in(Browser(gateway), "eve").status_code == 303
    assert DOMAIN not in gateway.services.users.all()[0].username
