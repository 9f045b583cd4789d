"""A whole run over real processes, good and bad; then every secret that it saw is looked for in all that it left behind."""

from __future__ import annotations

import json
import signal
import sqlite3
import uuid
from contextlib import closing

import psycopg
import pytest
import redis

from mcp_server.oauth.key_records import KeyWrapping
from mcp_server.storage.registry import Registry
from tests.gateway import VERIFIER, basic
from tests.key_clients import asserting
from tests.person import Person
from tests.running import API_KEY, SECRETS, Gateway
from tests.workers.searching import command_lines, files, forms, leaks, of_postgres, of_redis
from tests.workers.wire import REDIRECT_URI, USERNAME, Caller, ask, opens, post

PASSWORD = "correct-horse-battery-staple-7"
WRONG = {"wrong password": "wr0ng-password-typed-by-hand", "wrong client secret": "wr0ng-client-secret-sent-1",
         "wrong token": "wr0ng-bearer-token-sent-22", "wrong code": "wr0ng-code-sent-to-redeem-3",
         "wrong refresh token": "wr0ng-refresh-token-sent-44", "wrong API key": "wr0ng-api-key-sent-5555555",
         "wrong registration token": "wr0ng-registration-token-666", "wrong CSRF token": "wr0ng-csrf-token-of-a-form-7"}


class Run:
    """Everything once. `secrets` are all that were made or sent."""

    def __init__(self, gateway, database_url) -> None:
        self.gateway = gateway
        self.secrets = {**SECRETS, "API key": API_KEY, "password": PASSWORD, "verifier": VERIFIER, **WRONG}
        self.told = ""
        self._by_operator()
        self.caller = Caller(gateway)
        self.caller.person = Person(USERNAME, PASSWORD)
        self._registration()
        self._flow()
        self._machines()
        self._wrong()
        self._afterwards()
        self._private_keys(database_url)
        self.caller.http.close()

    def keep(self, name, secret):
        self.secrets[name] = secret
        return secret

    def flask(self, *arguments, input=None):
        done = self.gateway.flask(*arguments, input=input)
        self.told += done.stderr
        return done.stdout

    def _by_operator(self):
        self.flask("users", "add", USERNAME, "--password-stdin", input=f"{PASSWORD}\n")
        self.minted = self.keep("minted token", json.loads(self.flask("registration-tokens", "mint", "--name", "proof", "--json"))["token"])
        made = json.loads(self.flask("clients", "create", "--name", "Machine", "--grant", "client_credentials", "--json"))
        self.machine = made["client_id"], self.keep("machine's secret", made["client_secret"])
        self.flask("keys", "rotate")

    def _registration(self):
        for name, token in (("registered", SECRETS["DCR_AUTH_TOKEN"]), ("registered with a minted token", self.minted)):
            given = self.caller.register(token)
            self.keep(f"secret of {name}", given["client_secret"])
            bearer = {"Authorization": f"Bearer {self.keep(f'management token of {name}', given['registration_access_token'])}"}
            path = f"/oauth/register/{given['client_id']}"
            assert ask(self.caller.http, "GET", path, headers=bearer)[0] == 200
            body = json.dumps({"client_id": given["client_id"], "client_secret": given["client_secret"], "redirect_uris": [REDIRECT_URI],
                               "grant_types": ["authorization_code", "refresh_token"]})
            assert ask(self.caller.http, "PUT", path, body, {**bearer, "Content-Type": "application/json"})[0] == 200
        body = json.dumps({"redirect_uris": [REDIRECT_URI], "token_value": self.minted})
        assert ask(self.caller.http, "POST", "/oauth/register", body, {"Content-Type": "application/json"})[0] == 201

    def _flow(self):
        caller = self.caller
        self.code = self.keep("code", caller.code())
        self.keep("unused code", caller.code())
        for number, form in enumerate(caller.person.forms):
            self.secrets |= {f"CSRF token {number}": form["csrf"]} | ({f"transaction {number}": form["transaction"]} if "transaction" in form else {})
        for cookie in caller.person.cookies:
            self.keep(f"cookie {cookie.name}", cookie.value)
        self.tokens = self._kept("tokens", post(caller.http, "/oauth/token", caller.redeems(self.code)))
        assert opens(caller.http, self.tokens["access_token"])
        self.refreshed = self._kept("refreshed tokens", post(caller.http, "/oauth/token", caller.refreshes(self.tokens["refresh_token"])))
        for token in (self.tokens["access_token"], self.refreshed["refresh_token"]):
            post(caller.http, "/oauth/introspect", {"token": token} | caller.proof)

    def _kept(self, name, answered):
        status, given = answered
        assert status == 200, given
        for kind in ("access_token", "refresh_token"):
            if kind in given:
                self.keep(f"{kind} of {name}", given[kind])
        return given

    def _machines(self):
        client_id, secret = self.machine
        form = {"grant_type": "client_credentials"}
        self._kept("a machine", post(self.caller.http, "/oauth/token", form, basic(client_id, secret)))
        client = self.caller.key_client()
        assertion = self.keep("assertion", client.signer.assertion(client.client_id, aud=self.gateway.url))
        assert post(self.caller.http, "/oauth/revoke", asserting(assertion, token="x"))[0] == 200
        assert post(self.caller.http, "/oauth/revoke", asserting(assertion, token="x"))[0] == 401
        assert self.gateway.call_tool("echo", message="hello")[0] == 200

    def _wrong(self):
        http, caller, client_id = self.caller.http, self.caller, self.caller.client_id
        json_of = {"Content-Type": "application/json"}
        with pytest.raises(AssertionError):
            Person(USERNAME, WRONG["wrong password"]).approve(caller.asks())
        post(http, "/login", {"csrf": WRONG["wrong CSRF token"], "username": USERNAME, "password": PASSWORD})
        for headers in ({}, basic(client_id, WRONG["wrong client secret"])):
            post(http, "/oauth/token", {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": WRONG["wrong refresh token"],
                                        **({} if headers else {"client_secret": WRONG["wrong client secret"]})}, headers)
        post(http, "/oauth/token", caller.redeems(WRONG["wrong code"]))
        post(http, "/oauth/token", caller.refreshes(WRONG["wrong refresh token"]))
        post(http, "/oauth/revoke", {"token": WRONG["wrong token"]} | caller.proof)
        for token in (WRONG["wrong token"], self.tokens["access_token"] + "x", self.tokens["refresh_token"]):
            ask(http, "POST", "/mcp", "{}", {**json_of, "Authorization": f"Bearer {token}"})
            ask(http, "POST", f"/mcp?access_token={token}", "{}", json_of)
            ask(http, "GET", f"/oauth/authorize?client_id={client_id}&code={token}&client_secret={caller.client_secret}", headers={"Referer": token})
        ask(http, "POST", "/mcp", "{}", {**json_of, "X-API-Key": WRONG["wrong API key"]})
        for token in (WRONG["wrong registration token"], SECRETS["DCR_AUTH_TOKEN"] + "x"):
            ask(http, "POST", "/oauth/register", json.dumps({"token_value": token}), json_of)
            ask(http, "POST", "/oauth/register", "{}", {**json_of, "Authorization": f"Bearer {token}"})

    def _afterwards(self):
        caller = self.caller
        post(caller.http, "/oauth/revoke", {"token": self.refreshed["refresh_token"]} | caller.proof)
        assert not opens(caller.http, self.refreshed["access_token"])
        post(caller.http, "/oauth/token", caller.refreshes(self.tokens["refresh_token"]))
        post(caller.http, "/oauth/token", caller.redeems(self.code))
        self.keep("rotated secret", json.loads(self.flask("clients", "rotate-secret", self.machine[0], "--json"))["client_secret"])
        for command in (("tokens", "list"), ("audit", "verify")):
            self.told += self.flask(*command)

    def _private_keys(self, database_url):
        """What signs, in the clear, as nobody should find it."""
        wrapping = KeyWrapping(SECRETS["JWT_SECRET"])
        with closing(Registry(database_url)) as registry:
            for number, record in enumerate(registry.signing_keys.all()):
                self.keep(f"private key {number}", wrapping.unwrap(record).as_dict(private=True)["d"])


class Left:
    """What a run left behind, while it ran and afterwards."""

    def __init__(self, gateway, redis_url, postgres) -> None:
        self.gateway, self._redis_url, self._postgres = gateway, redis_url, postgres

    def places(self):
        return {**files(self.gateway.folder), **command_lines(), **(of_redis(self._redis_url) if self._redis_url else {}),
                **(of_postgres(*self._postgres) if self._postgres else {})}

    def plant(self, text):
        """Write it into each place that can be written."""
        with (self.gateway.folder / "audit.log").open("a") as log:
            log.write(f'{{"leak":"{text}"}}\n')
        with closing(sqlite3.connect(self.gateway.folder / "planted.db")) as database, database:
            database.execute("CREATE TABLE leaks (leak)")
            database.execute("INSERT INTO leaks VALUES (?)", (text,))
        if self._redis_url:
            with redis.Redis.from_url(self._redis_url) as connection:
                connection.hset("planted", "leak", text + "x" * 500)
        if self._postgres:
            port, name = self._postgres
            with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname={name}", autocommit=True) as connection:
                connection.execute("CREATE TABLE leaks (leak text)")
                connection.execute("INSERT INTO leaks VALUES (%s)", (text,))


@pytest.fixture(params=["SQLite", "Redis and PostgreSQL"])
def left(request, tmp_path):
    gateway = Gateway(tmp_path)
    settings, redis_url, postgres = {}, None, None
    database_url = f"sqlite:///{tmp_path}/data/mcp-server.db"
    if request.param != "SQLite":
        server, redis_url = request.getfixturevalue("postgres_server"), f"{request.getfixturevalue('redis_url').rpartition('/')[0]}/8"
        postgres = server.port, f"run_{uuid.uuid4().hex}"
        server.execute(f"CREATE DATABASE {postgres[1]}")
        database_url = server.url_of(postgres[1])
        settings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "WEB_CONCURRENCY": 2}
    gateway.configured(
        JWT_ALGORITHM="ES256", AUDIT_LOG_PATH="audit.log", RATE_LIMIT_OAUTH_MAX=0, REFRESH_REUSE_GRACE=0, LOG_LEVEL="DEBUG", **settings)
    gateway.started()
    yield Left(gateway, redis_url, postgres), database_url
    gateway.stop()


@pytest.mark.requirement("LGG-001")
@pytest.mark.requirement("SEC-012")
@pytest.mark.requirement("SEC-013")
def test_no_secret_of_a_whole_run_is_left_anywhere(left):
    behind, database_url = left
    run = Run(behind.gateway, database_url)
    while_running = behind.places()
    behind.gateway.signal(signal.SIGTERM)
    behind.gateway.ended()
    places = {**{f"{name} (while running)": content for name, content in while_running.items()}, **behind.places(),
              "what the commands said besides": run.told.encode()}
    assert len(run.secrets) > 35
    assert leaks(run.secrets, places) == []
    assert len(places["log"]) > 5_000
    assert places["audit.log"].count(b'"action"') > 20
    _finds_what_is_planted(behind, run.secrets["code"])


def _finds_what_is_planted(behind, secret):
    """The search above looks at the right bytes: the same secret, in each form and each place, is found there."""
    expected = {"audit.log", "planted.db"}
    expected |= ({"Redis b'planted'"} if behind._redis_url else set()) | ({"pg_dump"} if behind._postgres else set())
    behind.plant(" ".join(mark.decode() for mark in forms(secret).values()))
    found = leaks({"code": secret}, behind.places())
    for form in forms(secret):
        assert expected <= {place.partition(": ")[2] for place in found if place.startswith(f"code {form}:")}
