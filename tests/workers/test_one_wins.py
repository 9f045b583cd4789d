"""Fifty callers at the same moment over four real workers: what may be used once is used once."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from mcp_server.oauth.credentials import Digests, new_id, new_secret
from mcp_server.oauth.models import DEVICE_CODE, Client, InitialAccessToken
from mcp_server.storage.registry import Registry
from tests.key_clients import asserting
from tests.running import SECRETS
from tests.workers.conftest import BACK_ENDS, WORKERS
from tests.workers.wire import FORM, REDIRECT_URI, Crowd, ask, opens, post

CALLERS, ROUNDS = 50, 3


@dataclass(frozen=True)
class Once:
    """What may be used once. `make` → the thing; `use` → how it is used over a connection; `won`, `lost`: statuses."""

    name: str
    make: Callable[..., Any]
    use: Callable[..., Any]
    won: int
    lost: int
    error: str


def _initial_access_token(caller):
    """As `flask registration-tokens mint --count 1` does it."""
    secret, now = new_secret(), time.time()
    digest = Digests(SECRETS["JWT_SECRET"]).digest("initial", secret)
    with closing(Registry(f"sqlite:///{caller.gateway.folder}/data/mcp-server.db")) as registry:
        registry.initial_access_tokens.add(InitialAccessToken(new_id(), "proof", digest, now, expires_at=now + 600, uses_left=1))
    return secret


def _register(_caller, token, connection):
    body = json.dumps({"redirect_uris": [REDIRECT_URI]})
    return ask(connection, "POST", "/oauth/register", body, {"Content-Type": "application/json", "Authorization": f"Bearer {token}"})


def _assertion(caller):
    client = caller.key_client()
    return client.signer.assertion(client.client_id, aud=caller.gateway.url)


def _device_code(caller):
    """Of a device that a person has just approved."""
    client = Client(new_id(), "A device", (), (DEVICE_CODE, "refresh_token"), (), "none", time.time())
    with closing(Registry(f"sqlite:///{caller.gateway.folder}/data/mcp-server.db")) as registry:
        registry.clients.add(client)
    _, asked = post(caller.http, "/oauth/device_authorization", {"client_id": client.client_id})
    caller.person.approves_device(asked["verification_uri"], asked["user_code"])
    return {"grant_type": DEVICE_CODE, "client_id": client.client_id, "device_code": asked["device_code"]}


ONCE = (
    Once("a code", lambda caller: caller.code(), lambda caller, code, connection: post(connection, "/oauth/token", caller.redeems(code)),
         200, 400, "invalid_grant"),
    Once("a refresh token", lambda caller: caller.tokens()["refresh_token"],
         lambda caller, token, connection: post(connection, "/oauth/token", caller.refreshes(token)), 200, 400, "invalid_grant"),
    Once("a device code", _device_code, lambda _, form, connection: post(connection, "/oauth/token", form), 200, 400, "invalid_grant"),
    Once("an initial access token", _initial_access_token, _register, 201, 401, "invalid_token"),
    Once("an assertion", _assertion, lambda _, assertion, connection: post(connection, "/oauth/revoke", asserting(assertion, token="x"), FORM),
         200, 401, "invalid_client"),
)
"""A thing that a new grant uses once is one more row."""


@pytest.fixture(scope="module", params=BACK_ENDS)
def strict(request, start):
    return start(request.param, REFRESH_REUSE_GRACE=0)


@pytest.fixture(scope="module", params=BACK_ENDS)
def forgiving(request, start):
    return start(request.param)


class TestStrict:
    @pytest.fixture
    def gateway(self, strict):
        return strict

    @pytest.mark.requirement("F49")
    @pytest.mark.requirement("F50")
    @pytest.mark.parametrize("once", ONCE, ids=lambda once: once.name)
    def test_exactly_one_of_fifty_wins(self, gateway, caller, once):
        with Crowd(gateway, CALLERS, WORKERS) as crowd:
            for _ in range(ROUNDS):
                thing = once.make(caller)
                answers = crowd.ask(lambda _, connection, thing=thing: once.use(caller, thing, connection))
                assert Counter(status for status, _ in answers) == {once.won: 1, once.lost: CALLERS - 1}
                assert {body["error"] for status, body in answers if status == once.lost} == {once.error}

    @pytest.mark.parametrize("once", ONCE[:2], ids=lambda once: once.name)
    def test_a_replay_ends_the_grant_on_every_worker_at_once(self, gateway, caller, once):
        with Crowd(gateway, CALLERS, WORKERS) as crowd:
            thing = once.make(caller)
            _, given = once.use(caller, thing, caller.http)
            assert all(crowd.ask(lambda _, connection: opens(connection, given["access_token"])))
            status, refused = once.use(caller, thing, caller.http)
            assert (status, refused["error"]) == (once.lost, once.error)
            assert not any(crowd.ask(lambda _, connection: opens(connection, given["access_token"])))
            refreshed = crowd.ask(lambda _, connection: post(connection, "/oauth/token", caller.refreshes(given["refresh_token"])))
            assert {(status, body["error"]) for status, body in refreshed} == {(400, "invalid_grant")}


class TestForgiving:
    @pytest.fixture
    def gateway(self, forgiving):
        return forgiving

    def test_within_the_grace_one_branch_is_live_and_the_client_goes_on(self, gateway, caller):
        with Crowd(gateway, CALLERS, WORKERS) as crowd:
            for _ in range(ROUNDS):
                token = caller.tokens()["refresh_token"]
                answers = crowd.ask(lambda _, connection, token=token: post(connection, "/oauth/token", caller.refreshes(token)))
                assert {status for status, _ in answers} == {200}
                branches = [body["refresh_token"] for _, body in answers]
                told = [post(caller.http, "/oauth/introspect", {"token": branch} | caller.proof)[1]["active"] for branch in branches]
                assert Counter(told) == {True: 1, False: CALLERS - 1}
                status, _ = post(caller.http, "/oauth/token", caller.refreshes(branches[told.index(True)]))
                assert status == 200
