"""Many callers at the same moment, in real threads that start at a barrier."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from tests.devices import approval_page, approve, decide, device, device_client
from tests.gateway import Browser, both_back_ends
from tests.key_clients import add_key_client

pytestmark = both_back_ends

CALLERS = 24
ROUNDS = 4


def all_at_once(call, callers=CALLERS):
    """The status of `call(number)` in each thread, and its body."""
    answers, barrier = [None] * callers, threading.Barrier(callers)

    def run(number):
        barrier.wait(timeout=20)
        answers[number] = call(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in answers
    return answers


def succeeded(answers):
    return [answer.json for answer in answers if answer.status_code == 200]


def test_a_code_is_redeemed_exactly_once_however_many_ask_at_once(gateway, client):
    for _ in range(ROUNDS):
        code = gateway.code(client)
        answers = all_at_once(lambda _, code=code: gateway.token(client.redeems(code)))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 400: CALLERS - 1}
        assert {answer.json.get("error", "none") for answer in answers} == {"none", "invalid_grant"}
        [tokens] = succeeded(answers)
        assert not gateway.opens(tokens["access_token"])  # the others were replays


def test_a_code_is_redeemed_exactly_once_by_two_workers(gateway, client, open_gateway):
    workers = [gateway, open_gateway(), open_gateway()]
    for worker in workers:
        worker.token(client.redeems("warm"))
    for _ in range(ROUNDS):
        code = gateway.code(client)
        answers = all_at_once(lambda number, code=code: workers[number % 3].token(client.redeems(code)))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 400: CALLERS - 1}


@pytest.mark.requirement("REF-011")
def test_without_grace_one_refresh_wins_at_most_and_the_family_ends(open_gateway):
    gateway = open_gateway(REFRESH_REUSE_GRACE="0")
    gateway.add_user()
    client = gateway.register()
    for _ in range(ROUNDS):
        token = gateway.tokens(client)["refresh_token"]
        answers = all_at_once(lambda _, token=token: gateway.refresh(client, token))
        assert {answer.status_code for answer in answers} <= {200, 400}
        winners = succeeded(answers)
        assert len(winners) == 1
        assert gateway.refresh(client, winners[0]["refresh_token"]).json["error"] == "invalid_grant"


@pytest.mark.requirement("REF-011")
@pytest.mark.requirement("REF-020")
def test_within_the_grace_one_branch_at_most_is_live_and_the_client_goes_on(gateway, client):
    for _ in range(ROUNDS):
        token = gateway.tokens(client)["refresh_token"]
        answers = all_at_once(lambda _, token=token: gateway.refresh(client, token))
        assert {answer.status_code for answer in answers} == {200}
        stored = [gateway.services.state.refresh_tokens.find(gateway.services.digests.digest("refresh", tokens["refresh_token"]), gateway.clock())
                  for tokens in succeeded(answers)]
        assert Counter(token.dead for token in stored) == {False: 1, True: CALLERS - 1}
        [live] = [tokens for tokens, token in zip(succeeded(answers), stored, strict=True) if not token.dead]
        assert gateway.refresh(client, live["refresh_token"]).status_code == 200


def test_a_consent_that_is_sent_many_times_at_once_gives_one_code(gateway, client, browser):
    page = browser.consent_page(client.asks())
    cookie = browser.cookie

    def decide(_):
        other = type(browser)(gateway)
        other.cookie = cookie
        return other.decide(page)

    answers = all_at_once(decide, callers=8)
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.location for answer in answers}) == 1


def test_a_revocation_and_a_refresh_at_once_leave_nothing_that_opens(gateway, client):
    for _ in range(ROUNDS):
        tokens = gateway.tokens(client)

        def either(number, tokens=tokens):
            if number % 2:
                return gateway.revoke({"token": tokens["refresh_token"]} | client.proof)
            return gateway.refresh(client, tokens["refresh_token"])

        answers = all_at_once(either, callers=8)
        assert all(answer.status_code == 200 for answer in answers[1::2])
        assert all(answer.status_code in (200, 400) for answer in answers[0::2])
        for given in [tokens, *(answer.json for answer in answers[0::2] if answer.status_code == 200)]:
            assert not gateway.opens(given["access_token"])
            assert gateway.refresh(client, given["refresh_token"]).status_code == 400


def test_an_assertion_is_good_for_exactly_one_however_many_send_it_at_once(gateway, open_gateway):
    client, workers = add_key_client(gateway), [gateway, open_gateway()]
    for _ in range(ROUNDS):
        form = {"grant_type": "client_credentials"} | client.proof
        answers = all_at_once(lambda number, form=form: workers[number % 2].token(form))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 401: CALLERS - 1}


@pytest.mark.requirement("DEV-017")
def test_an_approved_device_code_gives_tokens_to_exactly_one_however_many_poll_at_once(gateway, open_gateway):
    workers, client = [gateway, open_gateway(), open_gateway()], device_client(gateway)
    for _ in range(ROUNDS):
        asking = device(gateway, client)
        approve(gateway, asking.user_code)
        answers = all_at_once(lambda number, asking=asking: asking.poll(workers[number % 3]))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 400: CALLERS - 1}
        assert {answer.json.get("error", "none") for answer in answers} == {"none", "invalid_grant"}
        [tokens] = succeeded(answers)
        assert not gateway.opens(tokens["access_token"])  # the others were replays


@pytest.mark.requirement("DEV-025")
def test_a_device_that_is_approved_and_refused_at_once_gets_one_answer(gateway, open_gateway, clock):
    workers, client = [gateway, open_gateway()], device_client(gateway)
    for number in range(8):
        gateway.add_user(f"person{number}")
    browsers = [Browser(workers[number % 2], f"person{number}") for number in range(8)]
    for round_number in range(ROUNDS):
        asking = device(gateway, client)
        pages = [approval_page(browser, asking.user_code) for browser in browsers]
        answers = all_at_once(lambda number, pages=pages: decide(browsers[number], pages[number], ["approve", "refuse"][number % 2]), callers=8)
        assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}
        winner = [answer.status_code for answer in answers].index(200)
        assert asking.hears() == ("access_denied" if winner % 2 else "tokens"), round_number
    in_force = [grant for grant in gateway.services.grants.all(clock()) if not gateway.services.revocations.any_revoked((grant.grant_id,))]
    assert len(in_force) <= ROUNDS  # what came too late is not left standing
