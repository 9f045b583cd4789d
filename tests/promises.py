"""Clients that work on while things happen to the server, and remember what it answered: none of that may be contradicted later.

What was not answered is counted by its kind, under the act in which it happened, and asked again.
"""

from __future__ import annotations

import http.client
import json
import threading
from base64 import urlsafe_b64decode
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.gateway import VERIFIER, challenge_of
from tests.running import until

REDIRECT_URI = "http://127.0.0.1/callback"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
LIST = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
PACE = 0.05
ALL_IS_WELL = (200, 201, 302, 400, 401)
"""An answer, even if it is no. Everything else is a failure."""


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: dict


def kid_of(token):
    return json.loads(urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"]


class Unanswered(Exception):
    """The day is over, and the request never was answered."""


class Promises:
    """`registration_token` is what a ServiceNow admin types."""

    def __init__(self, installed, registration_token, clients=3) -> None:
        self._installed, self.registration_token = installed, registration_token
        self._over, self._act = threading.Event(), "before"
        self._locks = [threading.Lock() for _ in range(clients)]
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(clients)]
        self.rounds = [0] * clients
        self.answered, self.failures = Counter(), Counter()
        self.contradictions, self.registered, self.revoked, self.in_force = [], [], [], {}

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.go_on()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, more=4):
        """Wait until every client has had `more` good rounds, or one was told what contradicts an answer of before."""
        before = list(self.rounds)
        until(lambda: self.contradictions or all(now >= then + more for now, then in zip(self.rounds, before, strict=True)), "the clients go on")

    @contextmanager
    def during(self, act):
        """What fails from now on is counted there, until every client goes on as before."""
        self._act = act
        yield
        self.go_on()
        if not self.contradictions:
            self.keep()
        assert self.contradictions == [], (act, self.contradictions)

    @contextmanager
    def paused(self):
        """Nobody asks anything; no request is in flight."""
        with ExitStack() as held:
            for lock in self._locks:
                held.enter_context(lock)
            yield

    def keep(self):
        """Look at every promise again: who was registered is known, and what was revoked is dead."""
        with closing(self._installed.connection()) as connection:
            for client in list(self.registered):
                self._expect(connection, 200, "a client that was registered is not known", "/oauth/revoke", {"token": "none", **client})
            for client, tokens in list(self.revoked):
                self._must_be_dead(connection, client, tokens)

    def failed(self, act):
        return {kind: count for (when, kind), count in self.failures.items() if when == act}

    def table(self):
        lines = [f"{act:32} {count:6} answered   {self.failed(act) or 'no failure'}" for act, count in self.answered.items()]
        return "\n".join([*lines, f"clients {len(self.registered)}, revoked {len(self.revoked)}, contradicted {len(self.contradictions)}"])

    def connect(self):
        """One more client, with its tokens."""
        with closing(self._installed.connection()) as connection:
            return self._connect(connection)

    def revoke(self, client, tokens):
        with closing(self._installed.connection()) as connection:
            self._revoke(connection, client, tokens)

    def _work(self, number):
        with closing(self._installed.connection()) as connection, closing(self._installed.connection()) as calls:
            try:
                client, tokens = self._connect(connection)
                while not self._over.wait(PACE) and not self.contradictions:
                    with self._locks[number]:
                        tokens = self._round(connection, calls, client, tokens)
                        if self.rounds[number] % 8 == number:
                            self._revoke(connection, *self._connect(connection))
                        self.rounds[number] += 1
            except Unanswered:
                pass

    def _round(self, connection, calls, client, tokens):
        """A refresh that was answered is usable: for a call now, and for the next refresh. What is dead stays dead."""
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **client}
        tokens = self._expect(connection, 200, "a refresh token that was given is refused", "/oauth/token", form).body
        if (status := self._call(calls, tokens)) != 200:
            self.contradictions.append(("a fresh token does not open", status, kid_of(tokens["access_token"])))
        self.in_force[client["client_id"]] = tokens
        if self.revoked:
            self._must_be_dead(calls, *self.revoked[-1])
        return tokens

    def _revoke(self, connection, client, tokens):
        """Its tokens never open anything again."""
        self._expect(connection, 200, "a token cannot be revoked by its client", "/oauth/revoke", {"token": tokens["refresh_token"], **client})
        self.revoked.append((client, tokens))

    def _connect(self, connection):
        """Register, be approved, redeem the code. A code whose answer was lost is gone: then once more from the start."""
        while True:
            body = {"redirect_uris": [REDIRECT_URI], "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]}
            made = self._ask(connection, "/oauth/register", json.dumps(body), {**JSON, "Authorization": f"Bearer {self.registration_token}"})
            if made.status != 201:
                self.contradictions.append(("the registration token is refused", made.body))
                raise Unanswered
            client = {name: made.body[name] for name in ("client_id", "client_secret")}
            self.registered.append(client)
            asks = {"response_type": "code", "client_id": client["client_id"], "redirect_uri": REDIRECT_URI, "state": "s",
                    "code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
            approved = self._ask(connection, f"/oauth/authorize?{urlencode(asks)}", method="GET")
            code = parse_qs(urlsplit(approved.headers.get("Location", "")).query).get("code", [""])[0]
            lost = self.failures.total()
            form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER, **client}
            given = self._ask(connection, "/oauth/token", urlencode(form), FORM)
            if given.status == 200:
                return client, given.body
            if code and self.failures.total() == lost:
                self.contradictions.append(("a code that was given is refused", given.status, given.body))
                raise Unanswered

    def _must_be_dead(self, connection, client, tokens):
        if (status := self._call(connection, tokens)) != 401:
            self.contradictions.append(("a revoked access token opens", status))
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **client}
        self._expect(connection, 400, "a revoked refresh token is taken", "/oauth/token", form)

    def _call(self, connection, tokens):
        return self._ask(connection, "/mcp", LIST, {**JSON, "Authorization": f"Bearer {tokens['access_token']}"}).status

    def _expect(self, connection, status, else_told, path, form):
        answer = self._ask(connection, path, urlencode(form), FORM)
        if answer.status != status:
            self.contradictions.append((else_told, answer.status, answer.body))
            raise Unanswered
        return answer

    def _ask(self, connection, path, body=None, headers=None, method="POST"):
        """The answer. What fails is counted, and asked again."""
        while True:
            try:
                connection.request(method, path, body, headers or {})
                with connection.getresponse() as response:
                    text = response.read()
                    answer = Answer(response.status, response.headers, json.loads(text) if text.startswith(b"{") else {})
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._failed("nobody listens" if isinstance(error, ConnectionRefusedError) else "cut off without an answer")
                continue
            if answer.status in ALL_IS_WELL:
                self.answered[self._act] += 1
                return answer
            self._failed("503 with Retry-After" if answer.status == 503 and "Retry-After" in answer.headers else f"status {answer.status} at {path}")

    def _failed(self, kind):
        self.failures[self._act, kind] += 1
        if self._over.wait(PACE):
            raise Unanswered
