"""Keys and secrets are exchanged while clients refresh and call: no request fails."""

from __future__ import annotations

import http.client
import signal
import sqlite3
import threading
from contextlib import closing

import pytest

from mcp_server.oauth.key_records import PUBLISHED_FIRST
from tests.promises import kid_of
from tests.running import SECRETS, until
from tests.workers.conftest import BACK_ENDS, WORKERS
from tests.workers.wire import Caller, Crowd, ask, opens, post

CLIENTS, ROTATIONS = 4, 3
PACE = 0.1
"""Seconds between the rounds of a client: the workers that start meanwhile need a part of the machine."""
LONG = 300
"""Seconds, at most: a reload checks the configuration in a process of its own, and busy workers leave when they are done."""
NEXT_SECRET = "Lq8sVn3xYc6wRt1mKd5hGf9zPb2jTe7u"


class Load:
    """Clients that refresh and call until they are told to stop. Every answer that is not 200 is a failure."""

    def __init__(self, gateway) -> None:
        self.callers = [Caller(gateway) for _ in range(CLIENTS)]
        self.person = self.callers[0].person
        self.failures, self.counts, self.signed_by = [], [0] * CLIENTS, set()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self):
        self._tokens = []
        for caller in self.callers:
            caller.person = self.person
            caller.register()
            self._tokens.append(caller.tokens())
        for thread in self._threads:
            thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()
        for caller in self.callers:
            caller.http.close()

    def _work(self, number):
        """Tokens are asked for on one connection and used on another, so that they meet all workers."""
        caller, tokens = self.callers[number], self._tokens[number]
        with closing(caller.gateway.connection()) as calls:
            while not self._over.wait(PACE):
                try:
                    status, given = post(caller.http, "/oauth/token", caller.refreshes(tokens["refresh_token"]))
                    if status != 200:
                        self.failures.append((status, given))
                        return
                    tokens = given
                    self.signed_by.add(kid_of(tokens["access_token"]))
                    if not opens(calls, tokens["access_token"]):
                        self.failures.append("a fresh token does not open")
                    self.counts[number] += 1
                except (OSError, http.client.HTTPException, AssertionError) as error:
                    self.failures.append(repr(error))
                    return

    def goes_on(self, more=8):
        """Wait until every client has had `more` good rounds, or one has failed."""
        before = list(self.counts)
        until(lambda: self.failures or all(now >= then + more for now, then in zip(self.counts, before, strict=True)), "the clients go on")


@pytest.fixture(params=BACK_ENDS)
def back_end(request):
    return request.param


@pytest.mark.requirement("F61")
def test_rotated_keys_fail_no_request(start, back_end):
    gateway = start(back_end, JWT_ALGORITHM="ES256")
    with Crowd(gateway, 4 * WORKERS, WORKERS) as crowd, Load(gateway) as load:
        for published in range(2, 2 + ROTATIONS):
            gateway.flask("keys", "rotate")
            until(lambda published=published: all(len(keys["keys"]) >= published for _, keys in crowd.ask(
                lambda _, connection: ask(connection, "GET", "/oauth/jwks.json"))), "every worker publishes the next key")
            load.goes_on()
            _let_pass(gateway, PUBLISHED_FIRST + 1)
            signing = len(load.signed_by)
            until(lambda signing=signing: load.failures or len(load.signed_by) > signing, "the next key signs")
            load.goes_on()
    assert load.failures == []
    assert len(load.signed_by) == 1 + ROTATIONS
    assert "Traceback" not in gateway.output()


def _let_pass(gateway, seconds):
    """Every worker knows the key now: let the time be over that others have to learn of it."""
    with closing(sqlite3.connect(gateway.folder / "data/mcp-server.db", timeout=20)) as database, database:
        database.execute("UPDATE signing_keys SET created_at = created_at - ?, retired_at = retired_at - ?", (seconds, seconds))


@pytest.mark.requirement("F61")
@pytest.mark.parametrize(("back_end", "algorithm"), [("SQLite", "HS256"), ("Redis", "ES256")], indirect=["back_end"])
def test_a_changed_secret_fails_no_request(start, back_end, algorithm):
    """In two steps, as README.md has it: first every worker knows the next secret, then it is the one that is used."""
    gateway = start(back_end, JWT_ALGORITHM=algorithm)
    with Load(gateway) as load:
        for secret, others in ((SECRETS["JWT_SECRET"], NEXT_SECRET), (NEXT_SECRET, SECRETS["JWT_SECRET"])):
            old = set(gateway.live_workers())
            gateway.configured(**gateway.settings | {"JWT_SECRET": secret, "JWT_SECRET_PREVIOUS": others})
            gateway.signal(signal.SIGHUP)
            until(lambda old=old: load.failures or not old & set(gateway.live_workers()), "the old workers have left", LONG)
            load.goes_on()
    assert load.failures == []
    assert "Reload refused" not in gateway.output()
