from __future__ import annotations

import pytest

from tests.gateway import Browser
from tests.gateway_fixtures import back_end, clock, data_folder, log, migrated_file, open_gateway
from tests.openid import RealProvider, account, environ, hostile_provider

__all__ = ["back_end", "clock", "data_folder", "log", "migrated_file", "open_gateway"]

PEOPLE = {
    "ada": account("ada"), "eve": account("eve", email="eve@evil.test"), "bob": account("bob", email_verified=False),
    "zoe": account("zoe", groups=["others"])}


@pytest.fixture(scope="session")
def real_provider():
    provider = RealProvider(PEOPLE)
    yield provider
    provider.stop()


@pytest.fixture
def provider():
    """One that a test can make lie."""
    with hostile_provider() as provider:
        yield provider


@pytest.fixture
def gateway(open_gateway, provider):
    """A gateway whose people sign in with `provider`."""
    return open_gateway(**environ(provider.issuer))


@pytest.fixture
def browser(gateway):
    return Browser(gateway)


@pytest.fixture
def sign_in(browser, provider):
    """sign_in(**changes of the answer) → the page after the provider."""
    def sign_in(after=None, **changes):
        begun = browser.get("/login/oidc", query_string={"next": after} if after else {})
        assert begun.status_code == 303, begun.text
        return browser.get(provider.sends_back(begun.location, **changes))

    return sign_in
