"""A person at a browser: what they do on our pages, and what the browser complained about while they did it."""

from __future__ import annotations

import re

from playwright.sync_api import expect

USERNAME, PASSWORD = "ada", "correct horse battery staple"
OPERATOR = "grace"
SITE = " \u2013 MCP gateway"  # ends every title
PATIENCE = 10_000  # milliseconds
EXPECTED_STATUS = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
expect.set_options(timeout=PATIENCE)


class Visitor:
    """A browser context: cookies of its own, and an address of its own, because sign-ins are limited by address.

    `complaints` must be empty when the test ends: errors and warnings of the console (a policy that was violated is one),
    and parts of a page that did not load. A page that is an error itself is none.
    """

    def __init__(self, browser, gateway, client, address, **options) -> None:
        self.gateway, self.client = gateway, client
        self.context = browser.new_context(base_url=gateway.url, extra_http_headers={"X-Forwarded-For": address}, **options)
        self.context.set_default_timeout(PATIENCE)
        self.complaints = []
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.context.on("requestfailed", self._failed)
        self.context.on("response", self._look_at)
        self.page = self.context.new_page()

    def _failed(self, request):
        if (request.failure, request.url.rpartition("/")[2]) != ("net::ERR_ABORTED", "icon.svg"):  # who leaves a page does not wait for its icon
            self.complaints.append(f"{request.failure}: {request.url}")

    def _hear(self, message):
        if message.type in ("error", "warning") and not EXPECTED_STATUS.match(message.text):
            self.complaints.append(message.text)

    def _look_at(self, response):
        if response.status >= 400 and not response.request.is_navigation_request():
            self.complaints.append(f"{response.status}: {response.url}")

    def complained(self, about):
        """The one thing that the browser refused, which the test expected."""
        assert any(about in complaint for complaint in self.complaints), self.complaints
        self.complaints.clear()

    def new_tab(self):
        """Work in another tab from now on; the one before is returned."""
        before, self.page = self.page, self.context.new_page()
        return before

    # What a person does.

    def is_asked(self, **changes):
        """Come from the client: to the sign-in page, or to the consent page when signed in."""
        self.page.goto(self.client.asks(**changes))

    def sign_in(self, password=PASSWORD, username=USERNAME):
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def signs_out(self):
        self.page.goto("/logout")
        self.page.get_by_role("button", name="Sign out").click()
        self.sees("You are signed out")

    def opens_the_console(self):
        self.page.goto("/operator")
        self.sign_in(username=OPERATOR)
        self.sees("Overview")

    def makes_a_registration_token(self, name):
        """Returns it."""
        self.page.get_by_label("For whom").fill(name)
        self.page.get_by_role("button", name="Make a token").click()
        self.sees("The initial access token for")
        return self.page.locator(".secret").inner_text()

    def is_asked_and_signs_in(self, **changes):
        self.is_asked(**changes)
        self.sign_in()
        self.sees("Let “.*” use this server?")

    def types_the_code_and_signs_in(self, code, username):
        self.types_the_code(code)
        self.sees("Sign in")
        self.sign_in(username=username)

    def types_the_code(self, code):
        self.page.get_by_label("Code").fill(code)
        self.page.get_by_role("button", name="Continue").click()

    def approve(self):
        self.page.get_by_role("button", name="Approve").click()

    def refuse(self):
        self.page.get_by_role("button", name="Refuse").click()

    # What a person sees.

    def has_title(self, title):
        expect(self.page).to_have_title(title + SITE)

    def sees(self, heading):
        expect(self.page.get_by_role("heading", level=1)).to_have_text(re.compile(heading))
        self.page.wait_for_load_state()  # who goes on before the style is there aborts its request

    def is_back_in_the_client(self):
        """Returns the parameters that the client got."""
        self.sees("Back in the client")
        assert self.page.url.startswith(self.client.redirect_uri)
        return self.client.arrived[-1]

    def is_told_to_start_again(self, why):
        self.sees("The request cannot be answered")
        expect(self.page.get_by_role("main")).to_contain_text(f"{why} Go back to the application and start again.")
