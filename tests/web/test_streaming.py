"""Streams whose store, worker or client goes away, without a socket and without waiting."""

from __future__ import annotations

import json

import pytest

from mcp_server.errors import RateLimitExceeded, StoreUnavailable
from mcp_server.mcp.dispatcher import Reply
from mcp_server.mcp.sessions import Session
from mcp_server.mcp.streams import DEAD_AFTER, StreamLog, resumed
from mcp_server.storage.sqlite import SqliteState
from mcp_server.web import streaming
from mcp_server.web.running_calls import MOST_OF_ONE_CALLER
from mcp_server.web.streaming import Exchange, Listener
from tests.gateway import API_KEY

NOW = 1_000_000.0
TOLD = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
ANSWER = {"jsonrpc": "2.0", "id": 7, "result": {}}
SESSION = Session("session", "2025-11-25", {}, NOW + 1000)
KEY = {"X-API-Key": API_KEY}


class Journals:
    """A store that can be away."""

    def __init__(self, journals):
        self._journals, self.away = journals, False

    def __getattr__(self, name):
        if self.away:
            raise StoreUnavailable
        return getattr(self._journals, name)


@pytest.fixture
def journals(tmp_path):
    state = SqliteState(tmp_path / "state.db")
    yield Journals(state.journals)
    state.close()


@pytest.fixture
def log(journals):
    return StreamLog(journals, SESSION, lambda: NOW)


class Watch:
    """The time of a replay: each pause takes as long as it says, and does what the test wants meanwhile."""

    def __init__(self, *steps):
        self.now, self.steps, self.open = 0.0, list(steps), True

    def __call__(self):
        return self.now

    def pause(self, seconds):
        self.now += seconds
        if self.steps:
            self.steps.pop(0)()
        assert self.now < 10 * DEAD_AFTER, "it does not end"


def said(chunks):
    """The messages of some events."""
    lines = b"".join(chunks).decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def replayed(log, position="", watch=None):
    watch = watch or Watch()
    return said(streaming.replay(log, position, lambda: watch.open, watch.pause, watch))


def events_of(exchange, work, *, primed=False, admitted=lambda: True):
    """The events of a call, as they go out."""
    told = []
    listener = Listener(None, True, primed, admitted, lambda how, reply: told.append(how))
    response = streaming.answer(exchange, work, listener)
    chunks = list(response.response)
    return said(chunks), *told


def answered(exchange, *, before=lambda: None, error=None):
    """A call that tells something, and is answered."""

    def work():
        exchange.send(TOLD)
        before()
        if error is not None:
            raise error
        return Reply(200, json.dumps(ANSWER).encode())

    return work


@pytest.mark.parametrize("away", [True, False])
def test_what_a_call_says_reaches_its_client_also_while_nothing_can_be_kept(log, journals, away):
    journals.away = away
    exchange = Exchange(log, 7)
    assert events_of(exchange, answered(exchange), primed=True) == ([TOLD, ANSWER], "answered")


@pytest.mark.parametrize("away", [True, False])
def test_a_cancelled_stream_ends_also_while_nothing_can_be_kept(log, journals, away):
    journals.away = away
    exchange = Exchange(log, 7)
    assert events_of(exchange, answered(exchange, before=exchange.cancel)) == ([TOLD], "cancelled")


@pytest.mark.parametrize(("error", "code"), [(RateLimitExceeded("Too many.", retry_after=1), 429), (RuntimeError("secret"), -32603)])
def test_what_goes_wrong_after_something_was_said_is_the_answer(log, error, code):
    exchange = Exchange(log, 7)
    [_, answer], how = events_of(exchange, answered(exchange, error=error))
    assert (answer["id"], answer["error"]["code"], how) == (7, code, "answered")
    assert "secret" not in json.dumps(answer)
    assert replayed(log) == [TOLD, answer]


def test_a_caller_whose_access_was_revoked_hears_nothing_more():
    exchange = Exchange(None, 7)
    assert events_of(exchange, answered(exchange), admitted=lambda: False) == ([], "cancelled")


def test_a_stream_can_be_taken_up_again_before_anything_was_said(log, journals):
    exchange = Exchange(log, 7)
    exchange.begin(lambda: Reply(200, json.dumps(ANSWER).encode()))
    events = streaming._events(exchange, None, Listener(None, True, True, lambda: True, lambda *_: None), lambda: None)
    event_id = next(events).decode().partition("\n")[0].removeprefix("id: ")
    found = resumed(event_id, journals, SESSION, lambda: NOW)
    assert found is not None
    list(events)
    assert replayed(*found) == [ANSWER]


def test_a_stream_whose_worker_died_ends_with_an_error(log):
    log.goes_on(7)
    log.append(json.dumps(TOLD).encode())
    watch = Watch()
    [first, last] = replayed(log, watch=watch)
    assert (first, last["id"], last["error"]["code"]) == (TOLD, 7, -32603)
    assert DEAD_AFTER < watch.now < DEAD_AFTER + 1


def test_a_worker_that_lives_is_waited_for(log):
    log.goes_on(7)
    goes_on = [lambda: log.goes_on(7), *[lambda: None] * 100] * 5
    assert replayed(log, watch=Watch(*goes_on, lambda: log.finish(json.dumps(ANSWER).encode()))) == [ANSWER]


def test_a_stream_that_was_read_to_its_answer_ends_with_nothing_more(log):
    log.goes_on(7)
    log.append(json.dumps(TOLD).encode())
    log.finish(json.dumps(ANSWER).encode())
    end = log.after("").position
    for position in (end, "9" * 18, "9" * 19 + "-0"):
        assert replayed(log, position) in ([], [TOLD, ANSWER])
    assert replayed(log, end) == []


def test_a_stream_goes_on_when_its_store_comes_back(log, journals):
    log.goes_on(7)

    def back():
        journals.away = False
        log.finish(json.dumps(ANSWER).encode())

    gone = [lambda: setattr(journals, "away", True), *[lambda: None] * (int(DEAD_AFTER) * 20)]
    assert replayed(log, watch=Watch(*gone, back)) == [ANSWER]


def test_a_replay_ends_when_nobody_may_hear_it_any_more(log):
    log.goes_on(7)
    watch = Watch()
    watch.steps = [lambda: setattr(watch, "open", False)]
    assert replayed(log, watch=watch) == []
    assert watch.now < 1


def test_streams_that_are_taken_up_again_count_as_the_callers(gateway):
    params = {"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": {"name": "a client", "version": "1"}}
    begun = gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}, headers=KEY)
    services, headers = gateway.services, KEY | {"Mcp-Session-Id": begun.headers["Mcp-Session-Id"]}
    [principal] = {services.bearer.principal({"HTTP_X_API_KEY": API_KEY})}
    log = StreamLog(services.journals, services.mcp_server.sessions.find(headers["Mcp-Session-Id"], principal), gateway.clock)
    log.append(json.dumps(TOLD).encode())
    headers["Last-Event-ID"] = log.event_id("")
    held = [gateway.get("/mcp", headers=headers, buffered=False) for _ in range(MOST_OF_ONE_CALLER)]
    assert {response.status_code for response in held} == {200}
    assert gateway.get("/mcp", headers=headers).status_code == 429
    held.pop().close()
    log.finish(None)
    assert gateway.get("/mcp", headers=headers).status_code == 200
    for response in held:
        response.close()
