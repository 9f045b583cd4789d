"""The page of one's approvals: what is in force, whose it is, and that taking it back ends it everywhere at once."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mcp_server.errors import StoreUnavailable
from tests.gateway import ISSUER, REDIRECT_URI, Browser, both_back_ends, hidden_fields

EMPTY = "No application can use this server in your name."


@pytest.fixture
def signed_in(browser):
    assert browser.sign_in().location == "/grants"
    return browser


def approvals(browser):
    """The grant ids on the page."""
    return re.findall(r'action="/grants/([0-9a-f]{32})"', browser.get("/grants").text)


def withdraw(browser, grant_id, headers=None, **changes):
    fields = {"csrf": hidden_fields(browser.get("/grants"))["csrf"]} | changes
    return browser.post(f"/grants/{grant_id}", fields, headers=headers or {})


def in_force(gateway):
    return [grant.grant_id for grant in gateway.services.grants_in_force.all()]


def test_who_has_approved_nothing_is_told_so_and_what_to_do(signed_in):
    page = signed_in.get("/grants")
    assert page.status_code == 200
    assert EMPTY in page.text
    assert "To connect one" in page.text
    assert "Sign out" in page.text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_is_not_signed_in_signs_in_first_and_comes_back(gateway, browser, method):
    response = gateway.send(method, "/grants", headers={"Accept": "text/html"})
    assert (response.status_code, response.location) == (302, "/login?next=/grants")
    assert browser.sign_in(browser.get(response.location)).location == "/grants"


@both_back_ends
def test_the_page_says_which_application_may_do_what_since_when_and_until_when(gateway, client, signed_in, clock):
    tokens = gateway.tokens(client, scope="tools:read")
    [grant] = gateway.services.grants_in_force.all()
    text = signed_in.get("/grants").text
    for expected in ("AutoGen-1775150937195-OAuthProvider", client.client_id, REDIRECT_URI, "dev12345.service-now.com", "See which tools"):
        assert expected in text
    assert "tools:execute" not in text
    for label, value in (("Approved", grant.created_at), ("Access last renewed", grant.last_used_at), ("Ends by itself", grant.expires_at)):
        assert re.search(rf"<dt>{label}</dt>\s*<dd>{in_words(value)}", text), label
    assert f"{in_words(grant.ends_at)} at the latest" in text
    clock.advance(1700)
    gateway.refresh(client, tokens["refresh_token"])
    assert re.search(rf"<dt>Access last renewed</dt>\s*<dd>{in_words(clock())}", signed_in.get("/grants").text)


def in_words(seconds):
    from datetime import UTC, datetime  # noqa: PLC0415 - by another way than the page takes
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at.day} {at:%B %Y}, {at:%H:%M} UTC"


def test_an_approval_that_was_not_used_yet_says_so(gateway, client, signed_in):
    gateway.code(client)
    assert "Never: it has not used the approval yet" in signed_in.get("/grants").text


@pytest.mark.requirement("PPL-003")
@both_back_ends
def test_withdrawing_ends_its_tokens_on_every_worker_and_the_application_has_to_ask_again(*, gateway, client, signed_in, open_gateway, clock, log):
    tokens, kept = gateway.tokens(client), gateway.tokens(gateway.register())
    first, other_worker = gateway.services.access_tokens.read(tokens["access_token"])["grant_id"], open_gateway()
    assert other_worker.opens(tokens["access_token"])
    response = withdraw(signed_in, first)
    assert (response.status_code, response.location) == (303, "/grants")
    for worker in (gateway, other_worker):
        assert not worker.opens(tokens["access_token"])
        assert worker.refresh(client, tokens["refresh_token"]).json["error"] == "invalid_grant"
        assert worker.opens(kept["access_token"])
    page = signed_in.get("/grants").text
    assert "can no longer use this server in your name" in page
    assert "can no longer use this server in your name" not in signed_in.get("/grants").text  # said once
    assert first not in approvals(signed_in)
    assert len(approvals(signed_in)) == 1
    assert gateway.services.registry.revocations.any_revoked((first,), clock() + 2_592_000)
    [record] = log.audited("grant_withdrawn")
    assert (record["result"], record["client_id"], record["details"]["grant_id"]) == ("success", client.client_id, first)
    assert "Approve" in signed_in.get("/oauth/authorize", query_string=client.asks()).text
    assert gateway.opens(gateway.tokens(client)["access_token"])


def test_a_code_that_was_not_redeemed_yet_dies_with_its_approval(gateway, client, signed_in):
    code = gateway.code(client)
    withdraw(signed_in, in_force(gateway)[0])
    assert gateway.token(client.redeems(code)).json["error"] == "invalid_grant"


@pytest.mark.requirement("PPL-004")
@both_back_ends
@pytest.mark.requirement("LOG-002")
def test_another_persons_approval_is_not_found_and_not_ended(gateway, client, signed_in):
    gateway.add_user("eve")
    eve = Browser(gateway, "eve")
    eve.sign_in()
    token = gateway.tokens(client)["access_token"]
    [grant_id] = in_force(gateway)
    assert approvals(eve) == []
    pages = {(response.status_code, re.sub("<code>[^<]*</code>", "", response.text))
             for response in (withdraw(eve, grant_id), withdraw(eve, "0" * 32), withdraw(eve, "x"))}
    [(status, text)] = pages
    assert status == 404
    assert "You have no such approval" in text
    assert gateway.opens(token)
    assert in_force(gateway) == [grant_id]


def test_what_a_client_got_for_itself_is_nobodys_to_withdraw(gateway, signed_in):
    robot = gateway.add_client("a secret of some length", grant_types=("client_credentials",))
    gateway.token({"grant_type": "client_credentials"} | robot.proof)
    [grant_id] = in_force(gateway)
    assert withdraw(signed_in, grant_id).status_code == 404
    assert approvals(signed_in) == []
    assert in_force(gateway) == [grant_id]


@pytest.mark.requirement("LOG-004")
@pytest.mark.requirement("LOG-002")
@pytest.mark.parametrize(("headers", "changes"), [
    ({"Origin": "https://elsewhere.test"}, {}), ({"Sec-Fetch-Site": "cross-site"}, {}), ({"Sec-Fetch-Site": "same-site"}, {}),
    ({}, {"csrf": ""}), ({}, {"csrf": "x"})])
def test_a_withdrawal_that_this_page_did_not_send_ends_nothing(gateway, client, signed_in, headers, changes):
    gateway.tokens(client)
    [grant_id] = in_force(gateway)
    assert withdraw(signed_in, grant_id, headers, **changes).status_code == 400
    assert in_force(gateway) == [grant_id]


def test_a_link_withdraws_nothing(gateway, client, signed_in):
    gateway.tokens(client)
    [grant_id] = in_force(gateway)
    assert signed_in.get(f"/grants/{grant_id}").status_code == 405
    assert in_force(gateway) == [grant_id]


def test_who_was_signed_out_meanwhile_signs_in_first(gateway, client, signed_in, clock):
    gateway.tokens(client)
    [grant_id] = in_force(gateway)
    fields = hidden_fields(signed_in.get("/grants"))
    clock.advance(1801)
    response = signed_in.post(f"/grants/{grant_id}", {"csrf": fields["csrf"]})
    assert (response.status_code, response.location) == (303, "/login?next=/grants")
    assert in_force(gateway) == [grant_id]


def test_withdrawing_twice_is_as_good_as_once(gateway, client, signed_in):
    gateway.tokens(client)
    [grant_id] = in_force(gateway)
    assert [withdraw(signed_in, grant_id).status_code for _ in range(2)] == [303, 303]
    assert in_force(gateway) == []


@pytest.mark.parametrize("end", ["expired", "revoked", "client revoked", "person revoked"])
def test_what_is_not_in_force_is_not_shown(*, gateway, client, signed_in, clock, end):
    gateway.tokens(client)
    [grant] = gateway.services.grants_in_force.all()
    if end == "expired":
        clock.advance(1_209_600)
        signed_in.sign_in()
    else:
        revoked = {"revoked": grant.grant_id, "client revoked": f"client:{client.client_id}", "person revoked": f"user:{grant.subject}"}[end]
        gateway.services.revocations.revoke((revoked,), clock() + 1000)
    if end == "person revoked":
        assert signed_in.get("/grants").status_code == 302
    else:
        assert EMPTY in signed_in.get("/grants").text


def test_a_ledger_that_does_not_answer_is_said_and_nothing_is_called_withdrawn(gateway, client, signed_in, monkeypatch):
    gateway.tokens(client)
    [grant_id] = in_force(gateway)
    fields = hidden_fields(signed_in.get("/grants"))

    def unavailable(*_):
        raise StoreUnavailable(detail="switched off by a test")

    with monkeypatch.context() as patch:
        patch.setattr(gateway.services.registry.revocations, "record", unavailable)
        response = signed_in.post(f"/grants/{grant_id}", {"csrf": fields["csrf"]})
    assert response.status_code == 503
    assert "Try again" in response.text
    assert "can no longer use" not in signed_in.get("/grants").text
    assert approvals(signed_in) == [grant_id]


def test_a_name_with_markup_is_only_text_and_a_client_that_is_gone_has_none(gateway, client, signed_in, clock):
    gateway.tokens(client)
    stored = gateway.services.clients.find(client.client_id)
    gateway.services.clients.replace(replace(stored, client_name='<b onclick="x">&"\u202e'))
    text = signed_in.get("/grants").text
    assert "<b onclick" not in text
    assert "&lt;b onclick=&#34;x&#34;&gt;" in text
    gateway.services.clients.remove(client.client_id)
    assert "An application that is not registered any more" in signed_in.get("/grants").text


def test_the_page_is_reached_from_the_sign_out_page_and_is_never_kept(signed_in):
    assert 'href="/grants"' in signed_in.get("/logout").text
    headers = signed_in.get("/grants").headers
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    response = signed_in.post("/logout", hidden_fields(signed_in.get("/grants")), headers={"Origin": ISSUER})
    assert (response.status_code, response.location) == (303, "/logout")
