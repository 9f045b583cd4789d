"""One Chromium, one gateway and one client application for all these tests; a browser context for each person in them."""

from __future__ import annotations

import asyncio
import itertools
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect, sync_playwright

from mcp_server.storage.sqlite_file import SqliteFile
from mcp_server.storage.sqlite_schema import SCHEMA
from tests.browser.client_application import ClientApplication
from tests.browser.visitor import OPERATOR, PASSWORD, USERNAME, Visitor
from tests.running import Gateway
from tests.servers import program

SWITCHES = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync")


@pytest.fixture(scope="session")
def chromium():
    """The browser, and the event loop of Playwright.

    Playwright leaves its loop marked as running in this thread, and asyncio.run() of any later test would refuse to start:
    the mark is set only while one of these tests runs.
    """
    playwright = sync_playwright().start()
    browser = playwright.chromium.launch(executable_path=program("chromium"), args=SWITCHES)
    loop = asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    yield browser, loop
    asyncio._set_running_loop(loop)
    browser.close()
    playwright.stop()
    asyncio._set_running_loop(None)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    built = Gateway(tmp_path_factory.mktemp("gateway"))
    built.configured(RATE_LIMIT_OAUTH_MAX=0, AUDIT_LOG_PATH=built.folder / "audit.log")
    try:
        built.started().add_user(USERNAME, PASSWORD)
        built.add_user(OPERATOR, PASSWORD, operator=True)
        yield built
    finally:
        built.stop()


@pytest.fixture(scope="session")
def client(gateway):
    application = ClientApplication(gateway)
    yield application
    application.close()


@pytest.fixture(scope="session")
def addresses():
    return (f"198.18.{number // 250}.{number % 250 + 1}" for number in itertools.count())


def forget_approvals_and_wrong_passwords(gateway):
    """All tests are the same person within the same hour."""
    state = SqliteFile(gateway.folder / "data/state.db", SCHEMA)
    for table in ("grants", "limits"):
        state.run(f"DELETE FROM {table}")
    state.close()


@pytest.fixture
def new_visitor(chromium, gateway, client, addresses):
    """Makes a person; options are those of a browser context. At the end, no browser may have complained."""
    browser, loop = chromium
    asyncio._set_running_loop(loop)
    forget_approvals_and_wrong_passwords(gateway)
    made = []

    def make(**options):
        made.append(Visitor(browser, gateway, client, next(addresses), **options))
        return made[-1]

    yield make
    for visitor in made:
        visitor.context.close()
    asyncio._set_running_loop(None)
    assert [visitor.complaints for visitor in made if visitor.complaints] == []


@pytest.fixture
def visitor(new_visitor):
    return new_visitor()


@pytest.fixture
def somebody(gateway, numbers):
    """A person of this test's own: how many codes of devices one may type is limited."""
    name = f"person{next(numbers)}"
    gateway.add_user(name, PASSWORD)
    return name


@pytest.fixture(scope="session")
def numbers():
    return itertools.count()


@pytest.fixture
def every_page(gateway, client, somebody):
    """Leads a visitor to each page in turn, and says its name."""
    long_name = "A client with a very long name of its own, and-one-word-that-does-not-want-to-end-" + "x" * 100
    wide = client.register(long_name, path="/" + "path" * 60, client_uri="https://example.com/" + "a" * 300)

    def tour(visitor):
        page = visitor.page
        visitor.is_asked()
        yield "sign in"
        visitor.sign_in("wrong")
        visitor.sees("Sign in")
        yield "wrong password"
        visitor.sign_in()
        visitor.sees("Let “.*” use this server?")
        yield "consent"
        visitor.is_asked(client_id=wide["client_id"], redirect_uri=wide["redirect_uris"][0])
        visitor.sees("Let “.*” use this server?")
        yield "consent for a client with long words"
        page.locator("[name=transaction]").evaluate("field => { field.value = 'x' }")
        visitor.approve()
        visitor.sees("The request cannot be answered")
        yield "stale consent"
        yield from _approvals(visitor, wide)
        page.goto("/logout")
        yield "sign out"
        page.get_by_role("button", name="Sign out").click()
        visitor.sees("You are signed out")
        yield "signed out"
        yield from _devices(visitor, client, somebody)
        yield from _console(visitor, client)
        page.goto(f"/oauth/authorize?{urlencode({'client_id': 'unknown'})}")
        yield "unknown client"
        page.goto("/nothing")
        yield "not found"

    return tour


def _approvals(visitor, wide):
    page = visitor.page
    page.goto("/grants")
    visitor.sees("Your approvals")
    yield "no approvals"
    for changes in ({}, {"client_id": wide["client_id"], "redirect_uri": wide["redirect_uris"][0]}):
        visitor.is_asked(**changes)
        visitor.approve()
        visitor.is_back_in_the_client()
    page.goto("/grants")
    visitor.sees("Your approvals")
    yield "approvals"
    page.get_by_role("button", name="Withdraw").first.click()
    expect(page.get_by_role("status")).to_be_visible()
    visitor.sees("Your approvals")
    yield "withdrawn"
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text("No application can use this server")).to_be_visible()
    visitor.sees("Your approvals")


def _devices(visitor, client, somebody):
    page = visitor.page
    page.goto("/device")
    yield "device"
    page.goto("/device?user_code=BCDF-GHJK")
    visitor.sees("Does your device show this code?")
    yield "device, from a link"
    visitor.types_the_code_and_signs_in(client.asks_on_a_device()[0]["user_code"], somebody)
    visitor.sees("Let “.*” on a device use this server?")
    yield "device, approve or refuse"
    visitor.approve()
    visitor.sees("“.*” may use this server")
    yield "device approved"
    page.goto("/device")
    visitor.types_the_code("BCDF-GHJK")
    visitor.sees("Connect a device")
    yield "device, wrong code"
    visitor.types_the_code(client.asks_on_a_device()[0]["user_code"])
    visitor.refuse()
    visitor.sees("Refused")
    yield "device refused"


def _console(visitor, client):
    page = visitor.page
    visitor.signs_out()
    page.goto("/")
    visitor.sees("This is an MCP server")
    yield "front page"
    client.register("<b>A client</b> with a name")
    visitor.opens_the_console()
    yield "console"
    page.goto("/")
    visitor.sees("Connect ServiceNow")
    yield "how to connect"
    for section, heading in (("clients", "Clients"), ("grants", "Approvals"), ("registration-tokens", "Registration tokens"), ("people", "People"),
                             ("events", "Events")):
        page.goto(f"/operator/{section}")
        visitor.sees(heading)
        yield f"console, {section}"
    page.goto("/operator/clients")
    page.get_by_role("button", name="Revoke").first.click()
    visitor.sees("Revoke “.*”")
    yield "console, a question"
    page.get_by_role("link", name="Go back, change nothing").click()
    visitor.sees("Clients")
    page.goto("/operator/registration-tokens")
    visitor.makes_a_registration_token("somebody")
    yield "console, a secret"
    visitor.signs_out()
