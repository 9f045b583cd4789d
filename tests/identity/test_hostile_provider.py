"""A provider, or somebody between, that lies: nobody is signed in, the page says so, and the audit says why."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import random
import time
from urllib.parse import urlencode

import pytest

from mcp_server.outbound import safe_fetch
from mcp_server.web.oidc import BEGUN_AT_ONCE, LIFETIME
from tests.gateway import Browser, both_back_ends, query_of
from tests.identity.conftest import PEOPLE
from tests.key_clients import Signer, base64url
from tests.openid import CLIENT_ID, CLIENT_SECRET, DOMAIN, In, account, environ
from tests.tls import says


def hs256(key):
    def sign(header, claims):
        signed = ".".join(base64url(json.dumps(part).encode()) for part in (header | {"alg": "HS256"}, claims))
        return f"{signed}.{base64url(hmac.digest(key, signed.encode(), 'sha256'))}"

    return sign


def unsigned(header, claims):
    return ".".join(base64url(json.dumps(part).encode()) for part in (header, claims)) + "."


def is_signed_in(browser):
    return "You are signed in" in browser.get("/logout").text


@pytest.fixture
def is_refused(browser, log):
    def is_refused(page, reason, status=403):
        assert page.status_code == status, page.text
        assert "<h1>" in page.text
        assert not is_signed_in(browser)
        [line] = log.audited("sign_in")
        assert (line["result"], reason in line["details"]["reason"]) == ("failure", True), line

    return is_refused


def test_an_honest_answer_signs_in(sign_in, browser, gateway):
    assert sign_in().status_code == 303
    assert is_signed_in(browser)
    assert [user.username for user in gateway.services.users.all()] == ["ada"]


LIES = {
    "another nonce": ({"nonce": "x"}, "nonce"), "no nonce": ({"nonce": None}, "nonce"), "a nonce of another kind": ({"nonce": 5}, "nonce"),
    "another audience": ({"aud": "another"}, "aud"), "no audience": ({"aud": None}, "aud"), "an empty audience": ({"aud": []}, "aud"),
    "several audiences without azp": ({"aud": [CLIENT_ID, "another"]}, "aud"), "an audience that is no text": ({"aud": {"a": CLIENT_ID}}, "aud"),
    "several audiences, made for another": ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "azp"), "made for another": ({"azp": "another"},
    "azp"),
    "another issuer": ({"iss": "https://evil.test"}, "iss"), "no issuer": ({"iss": None}, "iss"), "an issuer with a slash": ({"iss": "SLASH"}, "iss"),
    "expired": ({"exp": In(-61)}, "exp"), "no end": ({"exp": None}, "exp"), "an end that is text": ({"exp": "9999999999"}, "exp"),
    "an end in milliseconds": ({"exp": 9_999_999_999_000}, "exp"), "true as end": ({"exp": True}, "exp"),
    "issued in the future": ({"iat": In(3600)}, "iat"), "issued long ago": ({"iat": In(-90_000)}, "iat"), "no issue": ({"iat": None}, "iat"),
    "not valid yet": ({"nbf": In(3600)}, "nbf"),
    "no subject": ({"sub": None}, "sub"), "an empty subject": ({"sub": ""}, "sub"), "a number as subject": ({"sub": 5}, "sub"),
    "a long subject": ({"sub": "x" * 256}, "sub"), "a subject with a control character": ({"sub": "a\x00"}, "sub"),
}


@pytest.mark.requirement("OID-002")
@pytest.mark.parametrize("lie", LIES)
def test_an_id_token_with_one_claim_wrong_signs_nobody_in(provider, sign_in, lie, is_refused):
    claims, reason = LIES[lie]
    provider.claims = {name: f"{provider.issuer}/" if value == "SLASH" else value for name, value in claims.items()}
    is_refused(sign_in(), f"ID token: {reason}")


@pytest.mark.parametrize(("header", "reason"), [
    ({"alg": "none"}, "alg"), ({"alg": "None"}, "alg"), ({"alg": None}, "alg"), ({"alg": "RS512"}, "alg"), ({"alg": 5}, "alg"),
    ({"typ": "at+jwt"}, "typ"), ({"typ": "oauth-id-jag+jwt"}, "typ"), ({"typ": "logout+jwt"}, "typ"),
    ({"crit": ["x"]}, "header"), ({"jku": "https://evil.test/keys"}, "header"), ({"jwk": Signer().jwk}, "header"), ({"kid": 5}, "kid"),
    ({"kid": "unknown"}, "signature"), ({"alg": "ES256"}, "signature"), ({"alg": "PS256"}, "signature"),
])
def test_an_id_token_with_another_header_signs_nobody_in(provider, sign_in, header, reason, is_refused):
    provider.header = header
    is_refused(sign_in(), f"ID token: {reason}")


@pytest.mark.requirement("OID-003")
@pytest.mark.parametrize("forge", ["another key", "none", "the client secret", "the public key", "the public key as JWK", "a changed signature"])
def test_an_id_token_that_the_provider_did_not_sign_signs_nobody_in(provider, sign_in, forge, is_refused):
    real = provider.signer
    pem = real.key.as_pem(private=False)
    provider.sign = {
        "another key": Signer("RS256", kid="r1").sign,
        "none": lambda header, claims: unsigned(header | {"alg": "none"}, claims),
        "the client secret": hs256(CLIENT_SECRET.encode()), "the public key": hs256(pem),
        "the public key as JWK": hs256(json.dumps(real.jwk).encode()),
        "a changed signature": lambda header, claims: real.sign(header, claims)[:-6] + "AAAAAA",
    }[forge]
    is_refused(sign_in(), "ID token: ")


@pytest.mark.parametrize(("answer", "status"), [
    (says({"access_token": "at"}), 403), (says({"id_token": 5}), 403), (says({"id_token": "a.b"}), 403), (says({"id_token": "x" * 70_000}), 403),
    (says({"error": "invalid_grant", "error_description": "<script>"}, 400), 403), (says({"error": "invalid_client"}, 401), 503),
    (says({"error": 5}, 400), 403), (says([1]), 503), (says(b"<html>"), 503), (says(b"<html>", 400), 503), (says({}, 500), 503), (says(b"", 204),
    503),
    (says({}, 302, Location="https://evil.test/"), 403), (says(b"{" + b'"x":1,' * 100_000), 503), (says({"access_token": "a\r\nX: y"}), 403)])
def test_whatever_the_token_endpoint_says_there_is_a_page(provider, sign_in, answer, status, is_refused):
    provider.answers["/token"] = answer
    page = sign_in()
    is_refused(page, "", status)
    assert "<script>" not in page.text


def test_without_a_verified_address_nobody_comes_in_by_a_domain(provider, sign_in, browser, log):
    for changes in ({"email_verified": None}, {"email_verified": False}, {"email_verified": 1}, {"email_verified": "yes"}, {"email": None},
                    {"email": f"@{DOMAIN}"}, {"email": DOMAIN}, {"email": f"ada@evil.test@{DOMAIN}.evil.test"}, {"email": f"ada@sub.{DOMAIN}"},
                    {"email": f"ada@{DOMAIN}.evil.test"}, {"email": f"ada@{DOMAIN}\n"}, {"email": [f"ada@{DOMAIN}"]}):
        provider.person = account("ada", **changes)
        assert sign_in().status_code == 403, changes
    assert not is_signed_in(browser)
    assert len(log.audited("sign_in")) == 12


@pytest.mark.parametrize(("groups", "told"), [
    (None, "did not say which groups"), ([], "in none of the groups"), (["Admins"], "in none"), ("admins,others", "in none"), ({"admins": 1},
    "in none"),
    ([["admins"]], "in none"), (5, "in none")])
def test_without_a_group_nobody_comes_in(open_gateway, provider, groups, told):
    browser = Browser(open_gateway(**environ(provider.issuer, OIDC_ALLOWED_GROUPS="admins", OIDC_GROUPS_CLAIM="roles")))
    provider.person = account("ada", roles=groups)
    page = browser.get(provider.sends_back(browser.get("/login/oidc").location))
    assert (page.status_code, told in page.text) == (403, True), page.text
    provider.person = account("ada", roles=["x", "admins"])
    assert browser.get(provider.sends_back(browser.get("/login/oidc").location)).status_code == 303


def test_user_info_about_somebody_else_counts_for_nothing(provider, sign_in, is_refused):
    provider.claims = {"email": None}
    provider.user_info = {"sub": "somebody else"}
    is_refused(sign_in(), "userinfo: another sub")


def test_what_is_signed_wins_over_user_info(provider, sign_in, is_refused):
    provider.claims = {"email": "eve@evil.test", "preferred_username": None, "name": None, "email_verified": None}
    is_refused(sign_in(), "domain")


@pytest.mark.requirement("OID-008")
@pytest.mark.parametrize(("auth_time", "status"), [(5, 303), (-3600, 403), (None, 403), ("now", 403), (True, 403)])
def test_with_prompt_login_a_provider_must_show_that_the_person_gave_proof_anew(provider, browser, sign_in, auth_time, status):
    provider.claims = {"auth_time": int(time.time()) + auth_time if type(auth_time) is int else auth_time}
    assert sign_in("/oauth/authorize?prompt=login").status_code == status
    assert is_signed_in(browser) == (status == 303)
    provider.claims = {}
    assert sign_in("/oauth/authorize?prompt=consent").status_code == 303


# The answer, and the browser that brings it.


@pytest.mark.requirement("OID-004")
@pytest.mark.parametrize("changes", [{"state": None}, {"state": "x" * 43}, {"state": "é"}, {"state": ""}])
def test_an_answer_without_the_state_of_this_browser_is_refused_and_nobody_asked(provider, sign_in, browser, changes, is_refused):
    is_refused(sign_in(**changes), "state of no sign-in of this browser", 400)
    assert "/token" not in [path for path, *_ in provider.asked]


@pytest.mark.requirement("OID-004")
@both_back_ends
def test_a_state_is_good_once(provider, gateway, browser):
    back = provider.sends_back(browser.get("/login/oidc").location)
    cookie = browser.http.get_cookie("__Host-sign-ins", domain="mcp.acme.test").value
    assert browser.get(back).status_code == 303
    other = Browser(gateway)
    other.http.set_cookie("__Host-sign-ins", cookie, domain="mcp.acme.test")
    assert other.get(back).status_code == 400
    assert not is_signed_in(other)


def test_an_answer_in_another_browser_is_refused(provider, gateway, browser):
    """Else a stranger could have somebody work in the stranger's account, or use a code that was stolen."""
    back = provider.sends_back(browser.get("/login/oidc").location)
    victim = Browser(gateway)
    victim.get("/login/oidc")
    assert victim.get(back).status_code == 400
    assert not is_signed_in(victim)
    assert browser.get(back).status_code == 303


def test_a_code_that_was_begun_elsewhere_does_not_fit_the_verifier_of_this_browser(provider, gateway, browser):
    """Code injection: the provider compares the verifier that we send with the challenge that the code was issued for (PKCE)."""
    mine, theirs = (query_of(each.get("/login/oidc").location) for each in (browser, Browser(gateway)))
    browser.get("/login/oidc/callback?" + urlencode({"code": "stolen", "state": mine["state"]}))
    _, sent, authorization = next(asked for asked in provider.asked if asked[0] == "/token")
    challenge = base64url(hashlib.sha256(sent["code_verifier"].encode()).digest())
    assert (mine["code_challenge_method"], sent["code"]) == ("S256", "stolen")
    assert challenge == mine["code_challenge"] != theirs["code_challenge"]
    assert base64.b64decode(authorization.split()[1]).decode() == "gateway:of-the-provider%3A+100%25+%2B%2F~"


def test_a_sign_in_that_took_too_long_is_begun_anew(provider, browser, clock):
    back = provider.sends_back(browser.get("/login/oidc").location)
    clock.advance(LIFETIME)
    page = browser.get(back)
    assert (page.status_code, "start again" in page.text) == (400, True)


def test_sign_ins_in_several_tabs_stay_apart(provider, browser):
    begun = [(number, browser.get("/login/oidc", query_string={"next": f"/page/{number}"}).location) for number in range(BEGUN_AT_ONCE + 1)]
    (_, forgotten), *kept = begun
    for number, location in reversed(kept):
        assert browser.get(provider.sends_back(location)).location == f"/page/{number}"
    assert browser.get(provider.sends_back(forgotten)).status_code == 400


def test_a_request_that_no_cookie_could_hold_is_refused_in_words(browser):
    after = "/" + "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=6_000))  # noise: it cannot be compressed
    page = browser.get("/login/oidc", query_string={"next": after})
    assert (page.status_code, "too long" in page.text) == (400, True)


@pytest.mark.parametrize("after", ["//evil.test", "https://evil.test", "/\\evil.test", "javascript:alert(1)"])
def test_after_the_sign_in_nobody_is_sent_to_another_site(provider, browser, after):
    assert browser.get(provider.sends_back(browser.get("/login/oidc", query_string={"next": after}).location)).location == "/grants"


@pytest.mark.requirement("OID-005")
@pytest.mark.parametrize(("iss", "names_itself", "status"), [
    ("OURS", False, 303), ("OURS", True, 303), (None, False, 303), (None, True, 403), ("https://evil.test", False, 403), ("https://evil.test",
    True, 403)])
def test_an_answer_of_another_provider_is_not_acted_upon(provider, sign_in, iss, names_itself, status):
    """Mix-up (RFC 9207)."""
    provider.discovery = {"authorization_response_iss_parameter_supported": names_itself}
    assert sign_in(iss=provider.issuer if iss == "OURS" else iss).status_code == status
    assert ("/token" in [path for path, *_ in provider.asked]) == (status == 303)


@pytest.mark.parametrize(("changes", "told"), [
    ({"error": "access_denied"}, "Acme refused the sign-in"), ({"error": "login_required"}, "could not sign you in (login_required)"),
    ({"error": "<script>", "error_description": "Zugriff verweigert: é\r\n<b>call 555</b>"}, "could not sign you in (an error)"), ({},
    "has no code")])
def test_an_error_of_the_provider_is_told_in_our_words(provider, sign_in, changes, told):
    page = sign_in(code=None, **changes)
    assert (page.status_code, told in page.text) == (403, True), page.text
    assert "script" not in page.text
    assert "555" not in page.text


def test_head_and_post_begin_and_end_nothing(provider, browser):
    back = provider.sends_back(browser.get("/login/oidc").location)
    assert browser.http.head(back, base_url="https://mcp.acme.test").status_code == 204
    assert browser.post("/login/oidc", {}).status_code == browser.post(back, {}).status_code == 405
    assert browser.get(back).status_code == 303


# What the provider says of itself.


@pytest.mark.requirement("OID-007")
@pytest.mark.parametrize("discovery", [
    {"issuer": "https://evil.test"}, {"issuer": "SLASH"}, {"issuer": None}, {"jwks_uri": None}, {"jwks_uri": "http://evil.test/jwks"},
    {"jwks_uri": 5}, {"token_endpoint": "http://169.254.169.254/"}, {"authorization_endpoint": "javascript:alert(1)"},
    {"authorization_endpoint": "https://evil.test/\r\nx"}, {"token_endpoint": "https://a@evil.test/"}])
def test_a_discovery_document_that_cannot_be_right_is_not_used(provider, browser, discovery, log):
    provider.discovery = {name: f"{provider.issuer}/" if value == "SLASH" else value for name, value in discovery.items()}
    page = browser.get("/login/oidc")
    assert (page.status_code, "cannot be used at this moment" in page.text) == (503, True)
    assert page.headers["Retry-After"] == "30"
    assert "discovery" in log.text
    provider.discovery = {}
    assert browser.get("/login/oidc").status_code == 303  # a failure is not kept


def test_a_provider_at_which_nobody_can_sign_in_is_not_used(provider, browser):
    provider.discovery = {"authorization_endpoint": None}
    assert browser.get("/login/oidc").status_code == 503


@pytest.mark.parametrize("answer", [
    says({}, 404), says(b"<html>"), says([]), says({}, 302, Location="/elsewhere"), says(b'{"x": "' + b"x" * 300_000 + b'"}'), says(b"")])
def test_a_discovery_that_fails_is_a_page(provider, browser, answer):
    provider.answers["/.well-known/openid-configuration"] = answer
    page = browser.get("/login/oidc")
    assert (page.status_code, "<h1>Not now</h1>" in page.text) == (503, True)
    assert len(provider.asked) == 1  # no redirect was followed


def test_a_discovery_that_trickles_is_given_up(provider, browser, monkeypatch):
    monkeypatch.setattr("mcp_server.outbound.provider_http.SECONDS", 0.3)

    def trickle(handler):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)

    provider.answers["/.well-known/openid-configuration"] = trickle
    began = time.monotonic()
    assert browser.get("/login/oidc").status_code == 503
    assert time.monotonic() - began < 3
    assert safe_fetch.SECONDS == 5.0


def test_a_provider_that_is_not_there_is_a_page(open_gateway):
    browser = Browser(open_gateway(**environ("http://localhost:9")))
    assert browser.get("/login").status_code == 200  # who has a password here still comes in
    assert browser.get("/login/oidc").status_code == 503


def test_the_discovery_document_is_kept_for_a_while(provider, browser, clock):
    for _ in range(3):
        browser.get("/login/oidc")
    assert len(provider.asked) == 1
    clock.advance(600)
    browser.get("/login/oidc")
    assert len(provider.asked) == 2


def test_keys_that_were_rotated_are_fetched_and_unknown_ones_once_a_minute(provider, sign_in):
    def fetched():
        return sum(path == "/jwks" for path, *_ in provider.asked)

    assert sign_in().status_code == 303
    provider.signer = Signer("ES256", kid="e2")
    assert sign_in().status_code == 303
    assert fetched() == 2
    provider.sign = Signer("ES256", kid="e2").sign
    provider.header = {"kid": "e3"}
    assert [sign_in().status_code for _ in range(3)] == [403] * 3
    assert fetched() == 2


def test_keys_that_cannot_be_had_are_a_page(provider, sign_in):
    provider.answers["/jwks"] = says({}, 500)
    assert sign_in().status_code == 503
    del provider.answers["/jwks"]
    assert sign_in().status_code == 303


# Accounts.


@pytest.mark.requirement("OID-006")
def test_a_local_account_of_the_same_name_stays_another_person(gateway, provider, sign_in, browser):
    local = gateway.add_user("ADA")
    assert sign_in().status_code == 303
    other = gateway.services.users.find_by_identity(provider.issuer, provider.person["sub"])
    assert other.user_id != local.user_id
    assert other.username == f"ada ({provider.issuer.removeprefix('http://')})"
    assert f"<strong>{other.username}</strong>" in browser.get("/logout").text
    assert sign_in().status_code == 303  # and keeps that name
    assert gateway.services.users.find_by_id(other.user_id) == other


def test_another_subject_of_the_same_name_is_another_person(gateway, provider, sign_in):
    for subject in ("1", "2", "3"):
        provider.person = account("ada", sub=subject)
        assert sign_in().status_code == 303
    assert len({user.username for user in gateway.services.users.all()}) == 3


def test_a_new_name_at_the_provider_is_the_name_here_at_the_next_sign_in(gateway, provider, sign_in):
    sign_in()
    [before] = gateway.services.users.all()
    provider.person = account("ada", preferred_username="  Ada\tLovelace ")
    sign_in()
    [after] = gateway.services.users.all()
    assert (after.user_id, after.username) == (before.user_id, "Ada Lovelace")


@pytest.mark.parametrize(("changes", "name"), [
    ({"preferred_username": None}, f"ada@{DOMAIN}"), ({"preferred_username": "a\x1b[31m"}, f"ada@{DOMAIN}"), ({"preferred_username": 5},
    f"ada@{DOMAIN}"),
    ({"preferred_username": ""}, f"ada@{DOMAIN}"), ({"preferred_username": "x" * 300}, "x" * 100),
    ({"preferred_username": None, "email": None, "name": "Ada L."}, "Ada L."), ({"preferred_username": None, "email": None}, "sub-of-ada")])
def test_a_name_is_one_that_can_be_read(open_gateway, provider, changes, name):
    gateway = open_gateway(**environ(provider.issuer, OIDC_ALLOWED_DOMAINS="*"))
    browser = Browser(gateway)
    provider.person = account("ada", **changes)
    assert browser.get(provider.sends_back(browser.get("/login/oidc").location)).status_code == 303
    assert [user.username for user in gateway.services.users.all()] == [name]


@pytest.mark.parametrize("password", ["", " ", "ada", "correct horse battery staple"])
def test_who_comes_from_a_provider_has_no_password_that_could_be_right(gateway, sign_in, password):
    sign_in()
    assert Browser(gateway).sign_in(password=password).status_code == 401


def test_who_is_disabled_here_is_told_so_and_not_signed_in(gateway, sign_in, browser):
    sign_in()
    [user] = gateway.services.users.all()
    gateway.services.users.replace(dataclasses.replace(user, disabled=True))
    page = sign_in()
    assert (page.status_code, "switched off" in page.text) == (403, True)
    assert not is_signed_in(browser)


# The pages.


def test_without_a_provider_nothing_of_it_is_there(open_gateway):
    browser = Browser(open_gateway())
    assert "Sign in with" not in browser.get("/login").text
    assert browser.get("/login/oidc").status_code == browser.get("/login/oidc/callback").status_code == 404


def test_without_passwords_the_page_has_no_form_and_no_password_is_taken(open_gateway, provider):
    gateway = open_gateway(**environ(provider.issuer, LOCAL_SIGN_IN="off"))
    gateway.add_user()
    browser = Browser(gateway)
    page = browser.get("/login")
    assert "Sign in with Acme" in page.text
    assert "password" not in page.text
    csrf = Browser(open_gateway(**environ(provider.issuer)))
    form = csrf.get("/login")
    browser.cookie = csrf.cookie
    assert browser.sign_in(form).status_code == 403
    assert not is_signed_in(browser)


def test_the_page_says_that_signing_out_is_for_here_only(sign_in, browser):
    sign_in()
    assert "At Acme you stay signed in" in browser.get("/logout").text


def test_neither_code_nor_state_nor_tokens_reach_the_log(provider, sign_in, log):
    sign_in(code="c0de-of-the-provider")
    written = log.text
    for secret in ("c0de-of-the-provider", provider.nonce, provider.id_token.rpartition(".")[2][:40], CLIENT_SECRET, "__Host-sign-ins"):
        assert secret not in written
    assert PEOPLE["ada"]["email"] not in written


def test_sign_ins_with_the_provider_are_limited_by_address(browser):
    answers = {browser.get("/login/oidc").status_code for _ in range(61)}
    assert answers == {303, 429}
