"""Callers of a real server: connections that are opened first, and a request on each of them at the same moment."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from tests.gateway import VERIFIER, challenge_of
from tests.key_clients import KeyClient, Signer
from tests.person import Person
from tests.running import PATIENCE, SECRETS, until

REDIRECT_URI = "http://127.0.0.1/callback"
USERNAME, PASSWORD = "ada", "correct horse battery staple"
ESTABLISHED = "01"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


def ask(connection, method, path, body=None, headers=None):
    """The status and the JSON of the answer, {} where it is none, on a connection that stays open."""
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    text = response.read()
    return response.status, json.loads(text) if text.startswith(b"{") else {}


def post(connection, path, form, headers=None):
    return ask(connection, "POST", path, urlencode(form), {**FORM, **(headers or {})})


class Caller:
    """A client of a running gateway, over one connection of its own."""

    def __init__(self, gateway) -> None:
        self.gateway = gateway
        self.http = gateway.connection()
        self.person = Person(USERNAME, PASSWORD)
        self.client_id, self.client_secret = "", ""

    def register(self, token=SECRETS["DCR_AUTH_TOKEN"], **changes):
        body = {"client_name": "Proof", "redirect_uris": [REDIRECT_URI], "grant_types": ["authorization_code", "refresh_token"]} | changes
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        status, given = ask(self.http, "POST", "/oauth/register", json.dumps(body), headers)
        assert status == 201, given
        self.client_id, self.client_secret = given["client_id"], given.get("client_secret", "")
        return given

    @property
    def proof(self):
        return {"client_id": self.client_id, "client_secret": self.client_secret}

    def asks(self):
        """The authorization URL of a request that succeeds."""
        asked = {"response_type": "code", "client_id": self.client_id, "redirect_uri": REDIRECT_URI, "state": secrets.token_urlsafe(8),
                 "code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
        return f"{self.gateway.url}/oauth/authorize?{urlencode(asked)}"

    def code(self):
        return self.person.approve(self.asks())["code"]

    def redeems(self, code):
        return {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER} | self.proof

    def refreshes(self, refresh_token):
        return {"grant_type": "refresh_token", "refresh_token": refresh_token} | self.proof

    def tokens(self):
        status, given = post(self.http, "/oauth/token", self.redeems(self.code()))
        assert status == 200, given
        return given

    def key_client(self):
        """A client of its own that proves itself by a key."""
        signer, registering = Signer(), Caller(self.gateway)
        given = registering.register(token_endpoint_auth_method="private_key_jwt", jwks=signer.jwks)
        registering.http.close()
        return KeyClient(given["client_id"], None, REDIRECT_URI, signer)


def opens(connection, access_token):
    """Whether it opens /mcp. Anything but 200 and a challenge is a failure."""
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {access_token}"}
    status, body = ask(connection, "POST", "/mcp", message, headers)
    assert status in (200, 401), (status, body)
    return status == 200


class Crowd:
    """Many connections, open before anything is sent, on as many workers as there are. `worker_of` says which one has each."""

    def __init__(self, gateway, callers, workers) -> None:
        self.gateway, self._callers, self._workers = gateway, callers, workers
        self.connections = []

    def __enter__(self):
        """A worker takes connections as it gets to them, so more are opened until each worker has a fair part."""
        until(self._spread, "every worker has connections of the crowd")
        return self

    def _spread(self):
        for connection in self.connections:
            connection.close()
        self.connections = [self.gateway.connection() for _ in range(self._callers)]
        at_once([lambda connection=connection: ask(connection, "GET", "/health/live") for connection in self.connections])
        return len(self.workers()) == self._workers and min(self.workers().values()) >= 2

    def workers(self) -> Counter:
        """How many of our connections each process holds, as the kernel says."""
        ours = {connection.sock.getsockname()[1] for connection in self.connections}
        return Counter(pid for port, pid in holders(self.gateway).items() if port in ours)

    def __exit__(self, *_):
        for connection in self.connections:
            connection.close()

    def ask(self, request):
        """`request(number, connection)` on each connection, at the same moment."""
        return at_once([
            lambda number=number, connection=connection: request(number, connection) for number, connection in enumerate(self.connections)])


def at_once(calls):
    """What each call answered; all start at a barrier."""
    answers, barrier = [None] * len(calls), threading.Barrier(len(calls))

    def run(number):
        barrier.wait(timeout=PATIENCE)
        try:
            answers[number] = calls[number]()
        except (OSError, http.client.HTTPException) as error:
            answers[number] = (0, {"error": repr(error)})

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def holders(gateway) -> dict[int, int]:
    """Of each connection to the gateway: the caller's port, and the worker that accepted it."""
    ports = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        if int(local.rpartition(":")[2], 16) == gateway.port and state == ESTABLISHED:
            ports[f"socket:[{rest[5]}]"] = int(remote.rpartition(":")[2], 16)
    return {ports[socket]: pid for pid in gateway.live_workers() for socket in _sockets_of(pid) if socket in ports}


def _sockets_of(pid):
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed since
            yield str(descriptor.readlink())
