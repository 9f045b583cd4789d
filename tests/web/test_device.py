"""The pages on which a person types a device's code and answers (RFC 8628 §3.3, §5)."""

from __future__ import annotations

import html
from dataclasses import replace

import pytest
import redis

from mcp_server.web.limits import USER_CODES, USER_CODES_FROM_AN_ADDRESS
from mcp_server.web.sessions import TRANSACTION_LIFETIME
from tests.devices import approval_page, approve, asks, decide, device, device_client
from tests.gateway import Browser, both_back_ends, hidden_fields
from tests.web.test_pages import HOSTILE, is_only_text

WRONG = "This code is not right, or it is no longer good."
WARNING = "Approve only if you started this yourself, just now"


@pytest.fixture
def asking(gateway):
    return device(gateway)


@pytest.fixture
def page(browser, asking):
    return approval_page(browser, asking.user_code)


def refused(response, status=400):
    assert response.status_code == status, response.text
    assert "may use this server" not in response.text
    return True


def said_wrong(response):
    assert response.status_code == 400
    assert WRONG in html.unescape(response.text)
    assert WARNING not in response.text
    return True


@both_back_ends
@pytest.mark.requirement("DEV-020")
@pytest.mark.parametrize("way", [str, str.lower, lambda code: code.replace("-", ""), lambda code: " " + code.replace("-", " \u2013 ").lower() + "."])
def test_a_code_may_be_typed_in_any_way_that_shows_what_is_meant(browser, asking, way):
    page = approval_page(browser, way(asking.user_code))
    assert asking.user_code in page.text
    assert WARNING in page.text


@pytest.mark.requirement("DEV-022")
def test_the_page_says_who_asks_for_what_from_where_and_warns(gateway, browser, clock):
    client = device_client(gateway, metadata={"client_uri": "https://sensors.acme.test/"})
    response = gateway.post("/oauth/device_authorization", data=client.proof, environ_overrides={"REMOTE_ADDR": "203.0.113.77"})
    clock.advance(185)
    page = approval_page(browser, response.json["user_code"])
    for text in (response.json["user_code"], "the sensor", "See which tools this server offers", "tools:read", "tools:execute", "203.0.113.77",
                 "3 minutes ago", "You come from another address: 127.0.0.1.", "https://sensors.acme.test/", client.client_id, "ada", WARNING,
                 "Does your device show this code?"):
        assert text in page.text, text


@pytest.mark.requirement("DEV-022")
def test_only_what_is_asked_for_is_shown_and_the_same_address_is_said_to_be_the_same(gateway, browser):
    text = approval_page(browser, device(gateway, scope="tools:read").user_code).text
    assert "tools:read" in text
    assert "tools:execute" not in text
    assert "less than a minute ago" in text
    assert "You come from the same address." in text


@pytest.mark.requirement("DEV-021")
@pytest.mark.parametrize("signed_in", [False, True])
def test_a_link_with_the_code_shows_it_and_does_nothing_before_a_person_goes_on_and_approves(gateway, browser, asking, log, signed_in):
    if signed_in:
        browser.sign_in()
    path = asking.answer["verification_uri_complete"].removeprefix("https://mcp.acme.test")
    page = browser.get(path)
    assert page.status_code == 200
    assert f'value="{asking.user_code}"' in page.text
    assert "Does your device show this code?" in page.text
    assert "If somebody sent you this link" in page.text
    assert "the sensor" not in page.text  # not looked up
    assert asking.hears() == "authorization_pending"
    after = browser.post("/device", hidden_fields(page) | {"user_code": asking.user_code})
    assert (after.status_code, after.location) == (303, "/device/approval")
    asked = browser.get(after.location) if signed_in else browser.get(browser.sign_in(browser.get(browser.get(after.location).location)).location)
    assert WARNING in asked.text
    assert gateway.services.grants.all(gateway.clock()) == []
    assert "may use this server" in decide(browser, asked).text
    assert asking.poll().status_code == 200
    assert asking.user_code not in log.text


@pytest.mark.requirement("DEV-021")
@pytest.mark.parametrize("linked", ["", "x", "AAAA-AAAA", "<script>", "WDJB-MJHT-WDJB"])
def test_a_link_with_something_else_shows_the_empty_form(browser, linked):
    page = browser.get("/device", query_string={"user_code": linked})
    assert page.status_code == 200
    assert 'value=""' in page.text
    assert "Type the code that your device shows." in page.text


def test_the_sign_in_says_what_it_is_for_and_no_address_has_the_code(browser, asking):
    after = browser.post("/device", hidden_fields(browser.get("/device")) | {"user_code": asking.user_code})
    to_login = browser.get(after.location)
    assert to_login.location == "/login?next=/device/approval"
    assert "A device asks to use this server in your name." in browser.get(to_login.location).text


def test_without_a_code_the_page_that_asks_leads_to_the_form(browser):
    assert browser.get("/device/approval").location == "/device"


@both_back_ends
def test_approving_says_to_go_back_to_the_device(browser, page, asking):
    answer = decide(browser, page)
    assert answer.status_code == 200
    assert "Go back to your device" in answer.text
    assert asking.poll().status_code == 200


@both_back_ends
@pytest.mark.parametrize("decision", ["refuse", "", "APPROVE", "approve ", "x", None])
def test_everything_but_approve_refuses_and_tells_the_device(browser, page, asking, decision):
    answer = decide(browser, page, decision)
    assert "The device got nothing" in answer.text
    assert asking.hears() == "access_denied"


@both_back_ends
@pytest.mark.requirement("DEV-025")
@pytest.mark.parametrize(("first", "second"), [("approve", "refuse"), ("refuse", "approve"), ("approve", "approve")])
def test_the_form_that_is_sent_twice_counts_once(browser, page, asking, first, second):
    assert decide(browser, page, first).status_code == 200
    assert refused(decide(browser, page, second))
    assert asking.hears() == ("tokens" if first == "approve" else "access_denied")


@both_back_ends
@pytest.mark.requirement("DEV-023")
def test_wrong_expired_answered_and_orphaned_codes_get_the_same_words(gateway, browser, clock):
    answered, expired, orphaned = (device(gateway) for _ in range(3))
    approve(gateway, answered.user_code)
    gateway.services.clients.remove(orphaned.client.client_id)
    said = {}
    for name, typed in {"wrong": "BCDF-GHJK", "answered": answered.user_code, "orphaned": orphaned.user_code, "nonsense": "' OR 1=1 --",
                        "empty": "", "long": "B" * 300}.items():
        page = approval_page(browser, typed)
        assert said_wrong(page), name
        said[name] = page.text
    clock.advance(600)
    assert said_wrong(approval_page(browser, expired.user_code))
    assert said["wrong"].replace("BCDF-GHJK", answered.user_code) == said["answered"]


@pytest.mark.requirement("DEV-023")
def test_what_was_typed_wrong_can_be_mended_and_the_right_code_goes_on(browser, asking):
    wrong = approval_page(browser, "BCDF-GHJK")
    assert 'value="BCDF-GHJK"' in wrong.text
    assert WARNING in approval_page(browser, asking.user_code).text


@pytest.mark.requirement("AUT-037")
@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_is_typed_or_called_is_shown_and_not_run(gateway, browser, hostile):
    assert is_only_text(approval_page(browser, hostile), hostile)
    client = device_client(gateway, client_name=hostile)
    page = approval_page(browser, device(gateway, client).user_code)
    assert page.status_code == 200
    assert is_only_text(page, hostile)
    assert is_only_text(decide(browser, page), hostile)


@pytest.mark.requirement("DEV-024")
@pytest.mark.parametrize("change", [
    {"csrf": None}, {"csrf": ""}, {"csrf": "x"}, {"transaction": "x"}, {"transaction": "a.b.c"}, {"transaction": None}])
def test_the_form_without_its_hidden_fields_is_refused(browser, page, asking, change):
    assert refused(decide(browser, page, **change))
    assert asking.hears() == "authorization_pending"
    assert decide(browser, page).status_code == 200


@pytest.mark.requirement("DEV-024")
@pytest.mark.parametrize("headers", [{"Origin": "https://elsewhere.test"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])
def test_the_forms_from_another_site_are_refused(browser, page, asking, headers):
    assert refused(decide(browser, page, headers=headers))
    assert refused(browser.post("/device", hidden_fields(browser.get("/device")) | {"user_code": asking.user_code}, headers=headers))
    assert asking.hears() == "authorization_pending"


@pytest.mark.requirement("DEV-024")
def test_the_form_in_another_browser_or_session_is_refused(gateway, browser, page, asking):
    gateway.add_user("eve")
    for other in (Browser(gateway, "eve"), Browser(gateway)):
        assert refused(decide(other, page))
        other.sign_in()
        assert refused(decide(other, page))
        own = hidden_fields(other.get("/logout"))
        assert refused(decide(other, page, csrf=own["csrf"]))
    assert asking.hears() == "authorization_pending"


@pytest.mark.requirement("DEV-024")
def test_fields_that_are_added_count_for_nothing(gateway, browser, page, asking):
    other = device(gateway, scope="tools:read")
    decide(browser, page, user_code=other.user_code, client_id=other.client.client_id, scope="root", subject="eve", approved="1")
    assert other.hears() == "authorization_pending"
    assert asking.poll().json["scope"] == "tools:read tools:execute"


@pytest.mark.requirement("DEV-024")
def test_the_transaction_of_an_authorization_page_approves_no_device_and_the_other_way_round(gateway, browser, client, page, asking):
    consent = browser.consent_page(client.asks())
    assert refused(decide(browser, page, transaction=hidden_fields(consent)["transaction"]))
    assert refused(browser.decide(consent, transaction=hidden_fields(page)["transaction"]))
    assert asking.hears() == "authorization_pending"


def test_a_page_that_was_left_open_is_worth_nothing_after_a_while_a_sign_out_or_an_end_of_the_person(gateway, browser, asking, clock):
    page = approval_page(browser, asking.user_code)
    clock.advance(TRANSACTION_LIFETIME + 1)
    assert refused(decide(browser, page))
    other = device(gateway)
    page = approval_page(browser, other.user_code)
    browser.post("/logout", hidden_fields(browser.get("/logout")))
    assert refused(decide(browser, page))
    page = approval_page(browser, other.user_code)
    users = gateway.services.users
    users.replace(replace(users.find("ada"), disabled=True))
    assert refused(decide(browser, page))
    assert other.hears() == "authorization_pending"


def test_no_page_can_be_framed_kept_or_left_with_a_referrer(browser, page, asking):
    pages = {"form": browser.get("/device"), "linked": browser.get(f"/device?user_code={asking.user_code}"), "asks": page,
             "wrong": approval_page(browser, "x"), "answered": decide(browser, page)}
    for name, each in pages.items():
        assert each.mimetype == "text/html", name
        assert each.headers["X-Frame-Options"] == "DENY", name
        assert each.headers["Referrer-Policy"] == "no-referrer", name
        assert each.headers["Cache-Control"] == "no-store", name
        assert "default-src 'none'" in each.headers["Content-Security-Policy"], name
        assert "<script" not in each.text, name


# Guessing.


def look_up(browser, typed, **kwargs):
    """Type a code; the answer of the page that looks it up."""
    browser.post("/device", hidden_fields(browser.get("/device")) | {"user_code": typed})
    return browser.get("/device/approval", **kwargs)


def address(number):
    return {"environ_overrides": {"REMOTE_ADDR": f"198.51.100.{number}"}}


@both_back_ends
@pytest.mark.requirement("DEV-023")
def test_a_person_can_try_a_few_codes_while_one_lasts_from_wherever(gateway, browser, asking, log):
    gateway.add_user("eve")
    browser.sign_in()
    tried = [look_up(browser, "BCDF-GHJK", **address(number)).status_code for number in range(USER_CODES.most)]
    assert tried == [400] * USER_CODES.most
    for typed in ("BCDF-GHJK", asking.user_code):  # the right one too: nothing is learnt any more
        response = look_up(browser, typed, **address(99))
        assert response.status_code == 429
        assert 0 < int(response.headers["Retry-After"]) <= 601
        assert response.mimetype == "text/html"
    again = Browser(gateway)
    again.sign_in()
    assert look_up(again, asking.user_code, **address(100)).status_code == 429  # another session of the same person
    eve = Browser(gateway, "eve")
    assert approval_page(eve, asking.user_code).status_code == 200
    assert {line["result"] for line in log.audited("user_codes_limited")} == {"denied"}
    assert len(log.audited("user_code_refused")) == USER_CODES.most


@pytest.mark.requirement("DEV-023")
def test_an_address_can_try_a_few_codes_whoever_signs_in_there(gateway):
    statuses = []
    for number in range(4):
        gateway.add_user(f"person{number}")
        browser = Browser(gateway, f"person{number}")
        browser.sign_in()
        statuses += [look_up(browser, "BCDF-GHJK").status_code for _ in range(USER_CODES.most)]
    assert statuses == [400] * USER_CODES_FROM_AN_ADDRESS.most + [429] * (len(statuses) - USER_CODES_FROM_AN_ADDRESS.most)
    assert len(statuses) > USER_CODES_FROM_AN_ADDRESS.most


@pytest.mark.requirement("DEV-023")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_code_is_looked_up_for_nobody_who_is_not_signed_in(browser, asking, log, method):
    browser.post("/device", hidden_fields(browser.get("/device")) | {"user_code": "BCDF-GHJK"})
    response = browser.http.open("/device/approval", method=method, base_url="https://mcp.acme.test", headers={"Accept": "text/html"})
    assert (response.status_code, response.location) == (302, "/login?next=/device/approval")
    assert log.audited("user_code_refused") == []


@pytest.mark.requirement("DEV-023")
def test_a_head_request_is_a_guess_too(browser):
    browser.sign_in()
    tried = []
    for _ in range(USER_CODES.most + 1):
        browser.post("/device", hidden_fields(browser.get("/device")) | {"user_code": "BCDF-GHJK"})
        tried.append(browser.http.head("/device/approval", base_url="https://mcp.acme.test").status_code)
    assert tried == [400] * USER_CODES.most + [429]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/device", "/device/approval"])
def test_other_methods_are_refused(gateway, method, path):
    assert gateway.send(method, path).status_code == 405


@pytest.mark.parametrize("body", [b"%", b"user_code=%zz", b"user_code=%ff", b"user_code=a&user_code=b", b"user_code=" + b"B" * 5_000, b"&" * 50, b"",
                                  b"x=" + b"y" * 150_000])
def test_a_form_that_cannot_be_read_is_a_page_that_says_so(browser, page, body):
    for path in ("/device", "/device/approval"):
        response = browser.http.post(path, data=body, base_url="https://mcp.acme.test", content_type="application/x-www-form-urlencoded",
                                     headers={"Accept": "text/html"})
        assert response.status_code in (400, 413)
        assert response.mimetype == "text/html"


# What is written down.


@both_back_ends
@pytest.mark.requirement("DEV-026")
def test_no_code_gets_into_a_file_or_into_redis(gateway, data_folder, back_end):
    asking = device(gateway)
    approve(gateway, asking.user_code)
    assert asking.hears() == "tokens"
    stored = b""
    if back_end:
        with redis.Redis.from_url(back_end["REDIS_URL"]) as connection:
            for key in connection.scan_iter("*"):
                stored += key + (connection.dump(key) or b"")
    gateway.services.close()
    stored += b"".join(path.read_bytes() for path in data_folder.iterdir())
    assert gateway.services.digests.digest("device", asking.answer["device_code"]).encode() in stored
    for secret in (asking.user_code, asking.user_code.replace("-", ""), asking.answer["device_code"]):
        assert secret.encode() not in stored


@both_back_ends
@pytest.mark.requirement("DEV-026")
@pytest.mark.requirement("DEV-027")
def test_each_event_is_audited_and_no_code_is_in_any_line(gateway, browser, log):
    approved, denied = device(gateway), device(gateway)
    asks(gateway, gateway.register())
    asks(gateway, approved.client, client_id="nobody")
    browser.get(f"/device?user_code={approved.user_code}")
    approval_page(browser, "BCDF-GHJK")
    assert [approved.hears(), approved.hears()] == ["authorization_pending", "slow_down"]
    decide(browser, approval_page(browser, denied.user_code), "refuse")
    decide(browser, approval_page(browser, approved.user_code))
    assert [approved.hears(), approved.hears(), denied.hears()] == ["tokens", "invalid_grant", "access_denied"]
    text = log.text
    for asking in (approved, denied):
        for secret in (asking.user_code, asking.user_code.replace("-", ""), asking.answer["device_code"], asking.answer["device_code"][:16]):
            assert secret not in text
    ada = gateway.services.users.find("ada").user_id
    results = {action: [(line["event_type"], line["result"]) for line in log.audited(action)] for action in (
        "device_authorization_issued", "device_authorization_refused", "authentication_failed", "device_consent", "user_code_refused",
        "device_polled_too_fast", "token_issued", "device_code_replayed")}
    assert results == {
        "device_authorization_issued": [("oauth", "success")] * 2, "device_authorization_refused": [("oauth", "failure")],
        "authentication_failed": [("oauth", "failure")], "device_consent": [("oauth", "denied"), ("oauth", "success")],
        "user_code_refused": [("security", "failure")], "device_polled_too_fast": [("security", "denied")], "token_issued": [("oauth", "success")],
        "device_code_replayed": [("security", "denied")]}
    assert {line["user_id"] for action in ("device_consent", "token_issued", "user_code_refused") for line in log.audited(action)} == {ada}
    assert len(log.audited("token_refused")) == 2  # the replay and the refusal; a poll that waits is no event
