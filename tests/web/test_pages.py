"""What a browser is told besides the page, and that no text of a stranger becomes markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from tests.gateway import INSTANCE, REDIRECT_URI, Browser

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'><svg/onload=alert(1)>", "{{7*7}}${7*7}<%=7*7%>", "</title><script>",
    "&lt;script&gt;",
           "javascript:alert(1)", "\u202eevil\u202c", "]]>", "<!--", "x" * 190]


def pages(gateway, client):
    """Every page: by name, the answer."""
    browser = Browser(gateway)
    yield "sign in", browser.get("/login")
    yield "wrong password", browser.sign_in(password="x")
    yield "consent", browser.consent_page(client.asks())
    yield "sign out", browser.get("/logout")
    yield "signed out", Browser(gateway).get("/logout")
    yield "error", browser.get("/oauth/authorize", query_string={"client_id": "x"})
    yield "not found", browser.get("/nothing")
    yield "stale form", browser.post("/login", {"csrf": "x"})


@pytest.mark.requirement("AUT-034")
@pytest.mark.requirement("AUT-036")
def test_no_page_can_be_framed_kept_or_left_with_a_referrer(gateway, client):
    for name, page in pages(gateway, client):
        assert page.mimetype == "text/html", name
        assert page.headers["X-Frame-Options"] == "DENY", name
        assert page.headers["Referrer-Policy"] == "no-referrer", name
        assert page.headers["Cache-Control"] == "no-store", name
        assert page.headers["X-Content-Type-Options"] == "nosniff", name
        policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'", name
        assert policy["frame-ancestors"] == "'none'", name
        assert policy["base-uri"] == "'none'", name
        assert "script-src" not in policy, name
        assert "unsafe" not in page.headers["Content-Security-Policy"], name
        assert "<script" not in page.text, name
        assert "Strict-Transport-Security" in page.headers, name


@pytest.mark.parametrize(("uri", "source"), [
    (REDIRECT_URI, INSTANCE), ("http://127.0.0.1:3000/cb", "http://127.0.0.1:3000"),
    ("https://dev12345.service-now.com/a;script-src%20x,b'c", INSTANCE)])
def test_a_consent_form_may_lead_to_this_client_only(gateway, uri, source):
    page = Browser(gateway).consent_page(gateway.register(redirect_uris=[uri]).asks())
    assert f"; form-action 'self' {source};" in page.headers["Content-Security-Policy"]


def test_a_clients_own_scheme_is_allowed_as_a_scheme(gateway):
    page = Browser(gateway).consent_page(gateway.add_client(redirect_uris=("cursor://anysphere.cursor/cb",)).asks())
    assert "; form-action 'self' cursor:;" in page.headers["Content-Security-Policy"]


class Markup(HTMLParser):
    """The tags of a page, and their attributes."""

    def __init__(self, page) -> None:
        super().__init__()
        self.tags, self.attributes = set(), []
        self.feed(page.text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes


OURS = {"html", "head", "meta", "title", "link", "body", "main", "p", "h1", "span", "bdi", "strong", "ul", "li", "code", "dl", "dt", "dd", "br",
    "form", "input", "div",
        "button", "a", "label"}


def is_only_text(page, hostile):
    markup = Markup(page)
    assert markup.tags <= OURS, hostile
    for name, value in markup.attributes:
        assert not name.startswith("on"), hostile
        assert name not in ("href", "action") or value.startswith("/"), hostile
    assert "$49" not in page.text, hostile
    return True


@pytest.mark.requirement("AUT-037")
def test_a_hostile_client_name_is_shown_and_not_run(gateway):
    browser = Browser(gateway)
    for hostile in HOSTILE:
        client = gateway.register(client_name=hostile, client_uri=f"{INSTANCE}/?<b>" if hostile.startswith("<") else None)
        page = browser.consent_page(client.asks())
        assert page.status_code == 200
        assert is_only_text(page, hostile)


@pytest.mark.requirement("AUT-037")
@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "response_type", "state", "scope", "code_challenge", "code_challenge_method",
    "resource", "prompt", "x"])
def test_markup_in_a_parameter_is_never_reflected(gateway, client, name):
    browser = Browser(gateway)
    browser.sign_in()
    for hostile in HOSTILE:
        response = browser.get("/oauth/authorize", query_string=client.asks(**{name: hostile}))
        if response.status_code == 302:
            assert "<" not in response.location
            assert response.location.startswith((REDIRECT_URI, "/login"))
        else:
            assert is_only_text(response, hostile)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_is_typed_at_the_sign_in_is_shown_and_not_run(browser, hostile):
    assert is_only_text(browser.sign_in(username=hostile), hostile)
    assert is_only_text(browser.get("/login", query_string={"next": f"/{hostile.replace(chr(0x202e), '')}"}), hostile)


@pytest.mark.requirement("HTP-020")
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_an_unknown_path_is_not_repeated(gateway, accept):
    for path in ("/<script>alert(1)</script>", "/mcp/<svg onload=x>", "/oauth/%3Cb%3E", "/" + "x" * 3_000, "/%00", "/%ff", "/é"):
        response = gateway.get(path, headers={"Accept": accept})
        assert response.status_code == 404
        assert "<svg" not in response.text
        assert "alert" not in response.text
        assert len(response.data) < 1_500


def test_an_error_page_tells_the_request_id_and_what_to_do(browser):
    response = browser.get("/oauth/authorize", query_string={"client_id": "x"})
    assert response.headers["X-Request-ID"] in response.text
    assert "Register it again" in response.text
