"""A device asks until a person has answered, and gets its tokens once (RFC 8628 §3.4, §3.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mcp_server.oauth.models import DEVICE_CODE
from tests.devices import Device, approval_page, approve, decide, device, device_client
from tests.gateway import BOTH_SCOPES, ISSUER, JWT_SECRET, OTHER_JWT_SECRET, Browser, both_back_ends

pytestmark = both_back_ends


@pytest.fixture
def asking(gateway):
    """A device that shows its code."""
    return device(gateway)


@pytest.mark.requirement("DEV-010")
def test_a_device_waits_and_gets_tokens_when_a_person_approved(gateway, asking, clock):
    for _ in range(3):
        assert asking.hears() == "authorization_pending"
        clock.advance(5)
    approve(gateway, asking.user_code)
    assert asking.hears() == "tokens"


@pytest.mark.requirement("DEV-012")
def test_the_tokens_are_those_of_a_code_exchange_for_the_person_who_approved(gateway, asking):
    approve(gateway, asking.user_code)
    response = asking.poll()
    assert (response.status_code, response.headers["Cache-Control"], response.headers["Pragma"]) == (200, "no-store", "no-cache")
    tokens = response.json
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 3600, BOTH_SCOPES)
    principal = gateway.services.access_tokens.verify(tokens["access_token"])
    assert (principal.subject, principal.client_id) == (gateway.services.users.find("ada").user_id, asking.client.client_id)
    assert gateway.opens(tokens["access_token"])
    refreshed = gateway.refresh(asking.client, tokens["refresh_token"])
    assert gateway.opens(refreshed.json["access_token"])


@pytest.mark.requirement("DEV-012")
def test_without_the_refresh_grant_there_is_no_refresh_token(gateway):
    asking = device(gateway, device_client(gateway, grant_types=(DEVICE_CODE,)))
    approve(gateway, asking.user_code)
    assert "refresh_token" not in asking.poll().json


def test_the_approval_stands_in_the_operators_list_before_the_device_knows(gateway, asking, clock):
    approve(gateway, asking.user_code)
    [grant] = gateway.services.grants.all(clock())
    assert (grant.client_id, grant.subject, grant.scope) == (asking.client.client_id, gateway.services.users.find("ada").user_id, BOTH_SCOPES)
    assert grant.ends_at_last == clock() + 2_592_000
    assert gateway.services.access_tokens.read(asking.poll().json["access_token"])["grant_id"] == grant.grant_id


def test_a_refusal_leaves_no_grant(gateway, asking, clock):
    approve(gateway, asking.user_code, "refuse")
    assert gateway.services.grants.all(clock()) == []


@pytest.mark.requirement("DEV-010")
def test_a_refusal_is_told_to_the_device_and_stays(gateway, asking, clock):
    approve(gateway, asking.user_code, "refuse")
    assert [asking.hears() for _ in range(3)] == ["access_denied"] * 3
    clock.advance(601)
    assert asking.hears() == "access_denied"


@pytest.mark.requirement("DEV-010")
@pytest.mark.parametrize("approved", [False, True])
def test_the_codes_end_after_ten_minutes_approved_or_not(gateway, asking, clock, approved):
    if approved:
        approve(gateway, asking.user_code)
    clock.advance(600)
    assert [asking.hears() for _ in range(3)] == ["expired_token"] * 3
    clock.advance(600)
    assert asking.hears() == "invalid_grant"


def test_a_code_that_was_approved_in_its_last_second_is_good_in_it(gateway, asking, clock):
    clock.advance(599)
    approve(gateway, asking.user_code)
    assert asking.hears() == "tokens"


@pytest.mark.requirement("DEV-011")
def test_who_asks_too_fast_has_to_wait_five_seconds_longer_each_time(asking, clock):
    def after(seconds):
        clock.advance(seconds)
        return asking.hears()

    assert asking.hears() == "authorization_pending"
    assert [after(5), after(4)] == ["authorization_pending"] * 2  # a second is forgiven
    assert [after(3), after(8), after(13), after(13)] == ["slow_down"] * 4  # 5 seconds, then 10, 15, 20
    assert [after(25), after(25)] == ["authorization_pending"] * 2


def test_who_was_too_fast_still_gets_the_tokens_at_once_when_they_are_there(gateway, asking):
    assert [asking.hears() for _ in range(3)] == ["authorization_pending", "slow_down", "slow_down"]
    approve(gateway, asking.user_code)
    assert asking.hears() == "tokens"


@pytest.mark.requirement("DEV-013")
def test_a_device_code_that_is_used_again_is_refused_and_ends_what_it_gave(gateway, asking, clock, log):
    approve(gateway, asking.user_code)
    tokens = asking.poll().json
    assert gateway.opens(tokens["access_token"])
    clock.advance(700)  # also when it has expired
    assert asking.hears() == "invalid_grant"
    assert not gateway.opens(tokens["access_token"])
    assert gateway.refresh(asking.client, tokens["refresh_token"]).json["error"] == "invalid_grant"
    assert asking.hears() == "invalid_grant"
    assert {line["result"] for line in log.audited("device_code_replayed")} == {"denied"}


@pytest.mark.requirement("DEV-014")
def test_another_client_learns_nothing_and_changes_nothing(gateway, asking, clock):
    stolen = Device(gateway, device_client(gateway), asking.answer)
    assert [stolen.hears() for _ in range(5)] == ["invalid_grant"] * 5
    assert asking.hears() == "authorization_pending"  # nobody else's poll made it too early
    assert stolen.hears() == "invalid_grant"
    clock.advance(5)
    assert asking.hears() == "authorization_pending"
    approve(gateway, asking.user_code)
    assert stolen.hears() == "invalid_grant"
    tokens = asking.poll().json
    assert stolen.hears() == "invalid_grant"  # a replay of somebody else revokes nothing
    assert gateway.opens(tokens["access_token"])


@pytest.mark.requirement("DEV-003")
def test_a_confidential_client_proves_itself_at_each_poll(gateway):
    asking = device(gateway, device_client(gateway, "a secret of its own"))
    approve(gateway, asking.user_code)
    for change in ({"client_secret": "wrong"}, {"client_secret": None}):
        assert asking.poll(**change).status_code == 401
    assert asking.hears() == "tokens"


@pytest.mark.requirement("DEV-015")
def test_a_device_code_that_is_not_quite_the_code_is_refused(gateway, asking):
    approve(gateway, asking.user_code)
    code = asking.answer["device_code"]
    for spoilt in ("nope", code[:-1], code + "x", code.swapcase(), code + "\0", f" {code}", "x" * 3_000, "x" * 50_000, "é", "\u202e", "' OR 1=1 --",
                   asking.user_code, asking.user_code.replace("-", ""), "", None, "*", "null"):
        assert asking.hears(device_code=spoilt) in ("invalid_grant", "invalid_request"), spoilt
    assert asking.hears() == "tokens"


@pytest.mark.requirement("DEV-005")
def test_a_resource_that_is_not_ours_is_refused_and_uses_nothing_up(gateway, asking):
    assert asking.hears(resource="https://elsewhere.test/") == "invalid_target"
    approve(gateway, asking.user_code)
    assert asking.hears(resource="https://elsewhere.test/") == "invalid_target"
    assert asking.hears(resource=f"{ISSUER}/mcp") == "tokens"


def test_a_scope_at_the_poll_widens_nothing(gateway):
    asking = device(gateway, scope="tools:read")
    approve(gateway, asking.user_code)
    assert asking.poll(scope=BOTH_SCOPES).json["scope"] == "tools:read"


def disable_the_person(gateway, _):
    users = gateway.services.users
    users.replace(replace(users.find("ada"), disabled=True))


def remove_the_person(gateway, _):
    gateway.services.users.remove("ada")


def revoke_the_grant(gateway, asking):
    [grant] = gateway.services.grants.all(gateway.clock())
    gateway.services.revocations.revoke((grant.grant_id,), gateway.clock() + 3600)


def revoke_the_client(gateway, asking):
    gateway.services.revocations.revoke((f"client:{asking.client.client_id}",), gateway.clock() + 3600)


def revoke_the_person(gateway, _):
    gateway.services.revocations.revoke((f"user:{gateway.services.users.find('ada').user_id}",), gateway.clock() + 3600)


@pytest.mark.requirement("DEV-016")
@pytest.mark.parametrize("change", [disable_the_person, remove_the_person, revoke_the_grant, revoke_the_client, revoke_the_person])
def test_who_or_what_is_gone_by_then_gets_no_tokens(gateway, asking, change):
    approve(gateway, asking.user_code)
    change(gateway, asking)
    assert asking.hears() == "invalid_grant"


@pytest.mark.requirement("DEV-016")
def test_a_client_that_was_removed_gets_no_tokens(gateway, asking):
    approve(gateway, asking.user_code)
    gateway.services.clients.remove(asking.client.client_id)
    assert asking.poll().status_code == 401


def test_codes_outlive_a_rotation_of_the_key(gateway, asking, open_gateway):
    rotated = open_gateway(JWT_SECRET=OTHER_JWT_SECRET, JWT_SECRET_PREVIOUS=JWT_SECRET)
    approve(rotated, asking.user_code)
    assert asking.poll(rotated).status_code == 200


def test_two_people_who_open_one_code_give_one_answer_and_one_grant_in_force(gateway, asking, clock):
    gateway.add_user("eve")
    browsers = [Browser(gateway), Browser(gateway, "eve")]
    pages = [approval_page(browser, asking.user_code) for browser in browsers]
    answers = [decide(browser, page) for browser, page in zip(browsers, pages, strict=True)]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert gateway.services.access_tokens.verify(asking.poll().json["access_token"]).subject == gateway.services.users.find("ada").user_id
