"""Signing in and out: whose session it is, and that a guess learns nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mcp_server.web.sessions import LIFETIME
from tests.gateway import ISSUER, PASSWORD, USERNAME, Browser, hidden_fields, query_of

WRONG = "The user name or the password is not right."


def is_signed_in(browser):
    text = browser.get("/logout").text
    assert ("You are signed in" in text) != ("You are signed out" in text)
    return "You are signed in" in text


def test_the_right_password_signs_in(browser):
    response = browser.sign_in()
    assert (response.status_code, response.location) == (303, "/grants")
    assert is_signed_in(browser)


@pytest.mark.parametrize(("username", "password"), [("Jürgen 日本", "pässwört €"), ("o'brien@acme.test", 'a"b\\c%20+&='), ("x" * 100, "y" * 1_000),
    ("ada.2", "line\ttab")])
def test_people_may_have_any_letters_in_name_and_password(gateway, username, password):
    gateway.add_user(username, password)
    assert is_signed_in(signed_in := Browser(gateway, username, password)) is False
    assert signed_in.sign_in().status_code == 303
    assert is_signed_in(signed_in)
    assert Browser(gateway, username, password + "x").sign_in().status_code == 401


@pytest.mark.requirement("LOG-005")
@pytest.mark.requirement("LOG-018")
@pytest.mark.parametrize("password", [
    "", " ", PASSWORD[:-1], PASSWORD + "x", PASSWORD + "\0", PASSWORD + "\0x", PASSWORD + "x" * 100, PASSWORD.upper(), PASSWORD + " ", " " + PASSWORD,
    "x" * 300,
    "x" * 3_000, "x" * 90_000, "é" * 40, "\ufeff" + PASSWORD, "%00", None])
def test_a_wrong_password_signs_nobody_in(browser, password):
    response = browser.sign_in(password=password)
    assert response.status_code in (400, 401)
    assert not is_signed_in(browser)


def test_bytes_that_are_no_text_sign_nobody_in(browser):
    fields = hidden_fields(browser.get("/login"))
    body = f"csrf={fields['csrf']}&username=ada&password=%ff%fe".encode()
    assert browser.http.post("/login", data=body, base_url=ISSUER, content_type="application/x-www-form-urlencoded").status_code == 400
    assert not is_signed_in(browser)


@pytest.mark.parametrize("length", [72, 73, 200])
def test_every_letter_of_a_long_password_counts(gateway, length):
    gateway.add_user("long", "a" * length)
    assert Browser(gateway, "long", "a" * (length - 1) + "b").sign_in().status_code == 401
    assert Browser(gateway, "long", "a" * (length + 1)).sign_in().status_code == 401
    assert Browser(gateway, "long", "a" * length).sign_in().status_code == 303


@pytest.mark.requirement("LOG-006")
def test_an_unknown_name_a_disabled_one_and_a_wrong_password_look_the_same(gateway, browser):
    gateway.add_user("bob", PASSWORD, disabled=True)
    pages = []
    for username, password in ((USERNAME, "wrong"), ("nobody", PASSWORD), ("bob", PASSWORD), ("' OR 1=1 --", "x")):
        page = browser.get("/login")
        response = browser.sign_in(page, username=username, password=password)
        assert WRONG in response.text
        pages.append((response.status_code, response.text.replace(username.replace("'", "&#39;"), "NAME")))
    assert len(set(pages)) == 1
    assert pages[0][0] == 401


@pytest.mark.requirement("LOG-017")
def test_a_password_in_the_query_string_counts_for_nothing(browser):
    fields = hidden_fields(browser.get("/login")) | {"username": USERNAME, "password": PASSWORD}
    assert browser.get("/login", query_string=fields).status_code == 200
    assert browser.http.post("/login", base_url=ISSUER, query_string=fields).status_code == 415
    assert browser.post("/login", {"csrf": fields["csrf"]}, query_string=fields).status_code == 401
    assert not is_signed_in(browser)


@pytest.mark.requirement("LOG-008")
def test_signing_in_begins_a_new_session(gateway, browser):
    browser.get("/login")
    before = browser.cookie
    attacker = Browser(gateway)
    attacker.cookie = before
    browser.sign_in()
    assert browser.cookie != before
    assert not is_signed_in(attacker)
    first = browser.cookie
    browser.sign_in()
    assert browser.cookie != first


def test_a_form_of_the_session_before_counts_no_more(gateway, browser):
    old = hidden_fields(browser.get("/login"))
    browser.sign_in()
    assert browser.post("/logout", {"csrf": old["csrf"]}).status_code == 400
    assert is_signed_in(browser)


@pytest.mark.requirement("LOG-002")
def test_the_sign_in_form_of_another_browser_or_without_its_secret_is_refused(gateway, browser):
    stranger = hidden_fields(Browser(gateway).get("/login"))
    browser.get("/login")
    for csrf in (stranger["csrf"], "", "x", "é", None):
        fields = {"username": USERNAME, "password": PASSWORD} | ({"csrf": csrf} if csrf is not None else {})
        assert browser.post("/login", fields).status_code == 400
    assert Browser(gateway).post("/login", stranger | {"username": USERNAME, "password": PASSWORD}).status_code == 400
    assert not is_signed_in(browser)


@pytest.mark.requirement("LOG-004")
@pytest.mark.parametrize(("headers", "accepted"), [
    ({"Origin": "https://elsewhere.test"}, False), ({"Origin": ISSUER + ".elsewhere.test"}, False),
    ({"Origin": ISSUER.replace("https", "http")}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False), ({"Sec-Fetch-Site": "same-site"}, False), ({"Sec-Fetch-Site": "x"}, False),
    ({"Origin": ISSUER, "Sec-Fetch-Site": "cross-site"}, False), ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, False),
    ({"Origin": ISSUER, "Sec-Fetch-Site": "same-origin"}, True), ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True), ({}, True)])
def test_a_form_from_another_site_is_refused(browser, headers, accepted):
    fields = hidden_fields(browser.get("/login")) | {"username": USERNAME, "password": PASSWORD}
    assert browser.post("/login", fields, headers=headers).status_code == (303 if accepted else 400)
    assert is_signed_in(browser) == accepted


@pytest.mark.requirement("LOG-009")
def test_the_cookies_are_for_this_host_only_and_no_script_reads_them(browser):
    cookies = [cookie.split("; ") for cookie in browser.sign_in().headers.get_all("Set-Cookie")]
    assert sorted(name.partition("=")[0][:15] for name, *_ in cookies) == ["__Host-browser-", "__Host-session"]
    for name, *flags in cookies:
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax" if name.startswith("__Host-session") else "SameSite=Strict"} <= set(flags)
        assert not [flag for flag in flags if flag.startswith("Domain")]


def test_without_https_the_cookie_has_a_plain_name(open_gateway):
    gateway = open_gateway(OAUTH_ISSUER="http://localhost:8080")
    response = gateway.get("/login", base_url="http://localhost:8080")
    assert response.headers["Set-Cookie"].startswith("session=")
    assert "Secure" not in response.headers["Set-Cookie"]
    assert "Strict-Transport-Security" not in response.headers


@pytest.mark.parametrize(("target", "followed"), [
    ("/oauth/authorize?a=b", "/oauth/authorize?a=b"), ("/logout", "/logout"), ("//elsewhere.test", None), ("https://elsewhere.test", None),
    ("/\\elsewhere.test", None), ("\\\\elsewhere.test", None), ("/\t/elsewhere.test", None), ("javascript:alert(1)", None), ("elsewhere.test", None),
    ("/ /elsewhere.test", None), ("///elsewhere.test", None), ("/a\\b", None), ("", None), ("/%0d%0aSet-Cookie:a=b", "/%0d%0aSet-Cookie:a=b"),
    ("https:elsewhere.test", None), ("@elsewhere.test", None), ("/\x00", None), ("/é", None)])
def test_after_signing_in_one_is_led_to_a_page_of_ours_only(gateway, target, followed):
    by_form, by_link = Browser(gateway), Browser(gateway)
    responses = [by_form.sign_in(next=target)]
    page = by_link.get("/login", query_string={"next": target})
    if page.status_code == 200:
        responses.append(by_link.sign_in(page))
    for response in responses:
        assert response.status_code == 400 or response.location == (followed or "/grants")
        assert {cookie.partition("=")[0][:15] for cookie in response.headers.get_all("Set-Cookie")} <= {"__Host-session", "__Host-browser-"}


def test_signing_out_ends_the_session_also_for_a_copy_of_the_cookie(gateway, browser):
    browser.sign_in()
    copy = Browser(gateway)
    copy.cookie = browser.cookie
    assert is_signed_in(copy)
    assert browser.get("/logout").status_code == 200
    assert is_signed_in(copy)  # asking alone signs nobody out
    response = browser.post("/logout", hidden_fields(browser.get("/logout")))
    assert (response.status_code, response.location) == (303, "/logout")
    assert not is_signed_in(browser)
    assert not is_signed_in(copy)


def test_nobody_is_signed_out_by_another_site(browser):
    browser.sign_in()
    fields = hidden_fields(browser.get("/logout"))
    assert browser.post("/logout", fields, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 400
    assert browser.post("/logout", {"csrf": "x"}).status_code == 400
    assert is_signed_in(browser)


def test_a_sign_in_ends_by_itself(browser, clock):
    browser.sign_in()
    clock.advance(LIFETIME - 1)
    assert is_signed_in(browser)
    clock.advance(2)
    assert not is_signed_in(browser)


def test_a_person_who_is_removed_disabled_or_revoked_is_signed_out_at_once(gateway, clock):
    for name in ("bob", "eve"):
        gateway.add_user(name)
    browsers = {name: Browser(gateway, name) for name in (USERNAME, "bob", "eve")}
    for browser in browsers.values():
        browser.sign_in()
    gateway.services.users.remove(USERNAME)
    bob, eve = (gateway.services.users.find(name) for name in ("bob", "eve"))
    gateway.services.users.replace(type(bob)(bob.user_id, bob.username, bob.password_hash, bob.created_at, disabled=True))
    gateway.services.revocations.revoke((f"user:{eve.user_id}",), clock() + 60)
    assert not any(is_signed_in(browser) for browser in browsers.values())
    gateway.add_user()
    assert not is_signed_in(browsers[USERNAME])  # the same name is another person


def test_a_new_password_ends_every_session_of_the_old_one(gateway, browser):
    browser.sign_in()
    users = gateway.services.users
    users.replace(replace(users.find(USERNAME), password_hash=gateway.services.passwords.hash("another long one")))
    assert not is_signed_in(browser)
    browser.password = "another long one"
    browser.sign_in()
    assert is_signed_in(browser)


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "eyJ1c2VyX2lkIjoiMSJ9.x.y", "é", "x" * 4_000, ".eJwDAAAAAAE.x.y"])
def test_a_cookie_that_is_not_ours_is_nobodys(browser, cookie):
    browser.cookie = cookie
    assert not is_signed_in(browser)
    assert browser.sign_in().status_code == 303


def test_prompt_login_asks_again_unless_one_has_just_signed_in(client, browser, clock):
    browser.sign_in()
    assert browser.get("/oauth/authorize", query_string=client.asks(prompt="login")).status_code == 200
    clock.advance(61)
    response = browser.get("/oauth/authorize", query_string=client.asks(prompt="login"))
    assert response.location.startswith("/login?next=")
    assert query_of(response.location)["next"].startswith("/oauth/authorize?")
    assert browser.consent_page(client.asks(prompt="login")).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/login", "/logout", "/grants", "/grants/x"])
def test_other_methods_are_refused(gateway, path, method):
    assert gateway.send(method, path).status_code == 405
