"""Registrations at the same moment, over HTTP, on each registry."""

from __future__ import annotations

import threading

import pytest

from mcp_server.oauth.models import InitialAccessToken
from tests.gateway import ENVIRON, Gateway, NoModel, SettableClock, registration_body

CALLERS = 24


@pytest.fixture
def gateway(database_url, tmp_path):
    opened = Gateway({**ENVIRON, "DATABASE_URL": database_url, "STATE_PATH": f"{tmp_path}/state.db"}, SettableClock(), NoModel())
    yield opened
    opened.services.close()


@pytest.fixture
def mint(gateway):
    def mint(**changes):
        digest = gateway.services.digests.digest("initial", "minted")
        gateway.services.initial_access_tokens.add(InitialAccessToken("id", "team", digest, gateway.clock(), **changes))

    return mint


@pytest.fixture
def at_once(gateway):
    """at_once(ask) → what `ask(number)` answered, asked by threads that started together."""

    def at_once(ask):
        answers, barrier = [None] * CALLERS, threading.Barrier(CALLERS)

        def run(number):
            barrier.wait(timeout=20)
            answers[number] = ask(number)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    return at_once


def register(gateway, **changes):
    return gateway.post("/oauth/register", json=registration_body(**changes), headers={"Authorization": "Bearer minted"})


@pytest.mark.parametrize("uses", [1, 5])
def test_a_token_registers_exactly_as_many_clients_as_its_count_however_many_ask_at_once(gateway, mint, at_once, uses):
    mint(uses_left=uses)
    statuses = sorted(answer.status_code for answer in at_once(lambda _: register(gateway)))
    assert statuses == [201] * uses + [401] * (CALLERS - uses)
    assert len(gateway.services.clients.all()) == uses
    assert gateway.services.initial_access_tokens.all()[0].uses_left == 0


def test_registrations_that_fail_at_once_give_back_exactly_what_they_took(gateway, mint, at_once):
    mint(uses_left=CALLERS)
    bad = {"redirect_uris": ["https://evil.test/"]}
    statuses = [answer.status_code for answer in at_once(lambda number: register(gateway, **(bad if number % 2 else {})))]
    assert (statuses.count(201), statuses.count(400)) == (CALLERS // 2, CALLERS // 2)
    assert gateway.services.initial_access_tokens.all()[0].uses_left == CALLERS // 2


def test_a_client_that_leaves_while_it_is_changed_is_gone(gateway, mint, at_once):
    mint()
    given = register(gateway).json
    path, headers = f"/oauth/register/{given['client_id']}", {"Authorization": f"Bearer {given['registration_access_token']}"}
    body = registration_body(client_id=given["client_id"], client_name="Changed")

    def ask(number):
        return gateway.send("DELETE", path, headers=headers) if number == CALLERS // 2 else gateway.send("PUT", path, headers=headers, json=body)

    statuses = {answer.status_code for answer in at_once(ask)}
    assert statuses <= {200, 204, 401}
    assert 204 in statuses
    assert gateway.services.clients.all() == []
    assert gateway.send("GET", path, headers=headers).status_code == 401
