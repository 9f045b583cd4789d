"""Streams, cancellation and lost clients, over real sockets, real workers and a model that writes slowly."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time

import pytest

from mcp_server.clock import wall_clock
from mcp_server.mcp.changes import Changes
from mcp_server.mcp.switchboard import Switchboard
from mcp_server.storage.open import open_state
from mcp_server.web.running_calls import MOST_OF_ONE_CALLER
from tests.deployment.test_tasks import holders, sockets
from tests.engine import TINY, wait_until
from tests.llm.ollama_wire import OllamaWire
from tests.mcp_wire import Stream, call, headers_of, listening_to
from tests.running import API_KEY, Gateway, until

SOON = 0.5
"""Seconds in which a cancelled call must have let go of the model."""
LONG = {"prompt": "A long story.", "max_tokens": 200}


@pytest.fixture(scope="module")
def model(tiny_engine):
    with OllamaWire(tiny_engine, TINY) as wire:
        yield wire


@pytest.fixture(scope="module", params=["sqlite, one worker", "redis, four workers"])
def running(request, tmp_path_factory, model):
    """A real server, with a model that can write slowly."""
    redis = {"REDIS_URL": request.getfixturevalue("redis_url"), "WEB_CONCURRENCY": 4} if request.param.startswith("redis") else {}
    gateway = Gateway(tmp_path_factory.mktemp("gateway"))
    gateway.configured(OLLAMA_API_URL=model.url, LLM_BACKEND="ollama", LLM_TIMEOUT=25, LLM_CONCURRENCY=1, **redis)
    gateway.redis_url = redis.get("REDIS_URL")
    try:
        gateway.started()
        until(gateway.has_tested_its_model, "the self-test is over")
        yield gateway
    finally:
        gateway.stop()


@pytest.fixture
def ollama(model):
    """The model: it writes four tokens a second."""
    model.fault = "slow"
    yield model
    model.fault = ""
    wait_until(lambda: model.answering == 0)


@pytest.fixture
def gateway(running, ollama):
    return running


@pytest.fixture
def opened():
    """opened(gateway, body, **headers) → a stream, closed in the end."""
    with contextlib.ExitStack() as streams:
        yield lambda *args, **headers: streams.enter_context(contextlib.closing(Stream(*args, **headers)))


def is_free_soon(ollama):
    began = time.monotonic()
    wait_until(lambda: ollama.answering == 0)
    return time.monotonic() - began < SOON


def begin_session(gateway, opened, version="2025-11-25"):
    params = {"protocolVersion": version, "capabilities": {"elicitation": {}}, "clientInfo": {"name": "t", "version": "1"}}
    answer = opened(gateway, {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).read_head()
    return answer.headers["mcp-session-id"]


@pytest.mark.parametrize("stateless", [True, False])
def test_progress_is_streamed_as_the_model_writes_and_the_answer_comes_last(gateway, ollama, opened, stateless):
    message = call(token="t", stateless=stateless, prompt="A story.", max_tokens=8)
    stream = opened(gateway, message, **(headers_of(message) if stateless else {})).read_head()
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["x-accel-buffering"] == "no"
    *progress, answer = [message for _, message in stream.events()]
    assert [told["method"] for told in progress] == ["notifications/progress"] * len(progress) != []
    done = [told["params"]["progress"] for told in progress]
    assert done == sorted(set(done))
    assert {told["params"]["progressToken"] for told in progress} == {"t"}
    assert answer["result"]["content"][0]["text"]


def test_without_a_progress_token_the_answer_is_json(gateway, opened):
    stream = opened(gateway, call(prompt="A story.", max_tokens=2)).read_head()
    assert stream.headers["content-type"] == "application/json"


@pytest.mark.parametrize("token", [None, "t"])
def test_a_closed_stream_of_the_stateless_era_stops_the_model(gateway, ollama, token):
    message = call(token=token, stateless=True, **LONG)
    stream = Stream(gateway, message, **headers_of(message))
    wait_until(lambda: ollama.answering == 1)
    stream.close()
    assert is_free_soon(ollama)


def test_a_client_without_a_session_that_leaves_stops_the_model_too(gateway, ollama):
    stream = Stream(gateway, call(**LONG))
    wait_until(lambda: ollama.answering == 1)
    stream.close()
    assert is_free_soon(ollama)


@pytest.mark.parametrize("with_session", [True, False])
def test_a_call_is_cancelled_from_another_connection_and_gets_no_answer(gateway, ollama, opened, with_session):
    session = {"Mcp_Session_Id": begin_session(gateway, opened)} if with_session else {}
    stream = opened(gateway, call(id="mine", token="t", **LONG), **session)
    wait_until(lambda: ollama.answering == 1)
    for other in ("other", "min", 1):
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": other}}
        assert opened(gateway, cancelled, **session).read_head().status == 202
    began = time.monotonic()
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "mine"}}
    assert opened(gateway, cancelled, **session).read_head().status == 202
    wait_until(lambda: ollama.answering == 0)
    assert time.monotonic() - began < SOON
    if stream.read_head().status != 202:  # it was said already that it goes on
        assert [message for _, message in stream.events() if message and "id" in message] == []


def test_a_cancelled_call_frees_its_slot_for_the_next(gateway, ollama, opened):
    message = call(token="t", stateless=True, **LONG)
    stream = Stream(gateway, message, **headers_of(message))
    wait_until(lambda: ollama.answering == 1)
    stream.close()
    wait_until(lambda: ollama.answering == 0)
    ollama.fault = ""
    answer = opened(gateway, call(prompt="next", max_tokens=2)).read_head()
    assert json.loads(answer.file.read(int(answer.headers["content-length"])))["result"].get("isError") is None


def test_a_connection_serves_the_next_request_after_an_answer_that_took_a_while(gateway):
    with contextlib.closing(gateway.connection()) as connection:
        for _ in range(3):
            body = json.dumps(call(prompt="A story.", max_tokens=2))
            connection.request("POST", "/mcp", body, {"Content-Type": "application/json", "X-API-Key": API_KEY})
            assert json.loads(connection.getresponse().read())["result"]
    assert not [event for event in gateway.events() if event.get("level") == "error"]


@pytest.mark.parametrize(("version", "primed"), [("2025-11-25", True), ("2025-06-18", False)])
def test_a_broken_stream_of_a_session_is_taken_up_again_at_any_worker(gateway, ollama, opened, version, primed):
    session = {"Mcp_Session_Id": begin_session(gateway, opened, version), "MCP_Protocol_Version": version}
    stream = opened(gateway, call(token="t", prompt="A story.", max_tokens=12), **session).read_head()
    lines = stream.lines()
    first = next(lines)
    assert first.startswith(b"id: ")
    assert (next(lines) == b"retry: 1000") is primed
    last_id = next(event_id for event_id, message in stream.events() if message)
    stream.close()
    assert ollama.answering == 1  # to leave is no cancellation where one can come back
    resumed = opened(gateway, None, "GET", Last_Event_ID=last_id, **session).read_head()
    assert resumed.status == 200
    messages = [(event_id, message) for event_id, message in resumed.events() if message]
    assert messages[-1][1]["id"] == 1
    assert messages[-1][1]["result"]["content"]
    assert all(event_id and event_id != last_id for event_id, _ in messages)


def test_a_stream_whose_worker_was_killed_is_taken_up_again_and_ends_with_an_error(gateway, ollama, opened):
    session = {"Mcp_Session_Id": begin_session(gateway, opened), "MCP_Protocol_Version": "2025-11-25"}
    stream = opened(gateway, call(id="lost", token="t", **LONG), **session).read_head()
    last_id = next(event_id for event_id, message in stream.events() if message)
    [inode] = sockets(stream.socket.getsockname()[1], of="remote")
    [worker] = holders({inode}, gateway.live_workers())
    os.kill(worker, signal.SIGKILL)
    until(lambda: worker not in gateway.live_workers() and gateway.is_up(), "another worker is there")
    resumed = opened(gateway, None, "GET", Last_Event_ID=last_id, **session).read_head()
    *told, (_, lost) = [(event_id, message) for event_id, message in resumed.events() if message]
    assert (lost["id"], lost["error"]["code"]) == ("lost", -32603)
    assert len({last_id, *(event_id for event_id, _ in told)}) == len(told) + 1  # nothing twice


def test_another_session_cannot_take_a_stream_up(gateway, opened):
    mine, other = ({"Mcp_Session_Id": begin_session(gateway, opened)} for _ in range(2))
    stream = opened(gateway, call(token="t", prompt="A story.", max_tokens=3), **mine).read_head()
    last_id = next(event_id for event_id, message in stream.events() if message)
    for event_id in (last_id, last_id.partition("_")[0] + "_", "x", "0" * 16 + "_0"):
        assert opened(gateway, None, "GET", Last_Event_ID=event_id, **other).read_head().status == 405


def test_a_session_that_was_ended_is_not_found_at_any_worker(gateway, opened):
    session = {"Mcp_Session_Id": begin_session(gateway, opened)}
    assert opened(gateway, None, "DELETE", **session).read_head().status == 204
    for _ in range(8):
        assert opened(gateway, call("echo", message="x"), **session).read_head().status == 404
    assert opened(gateway, call("echo", message="x"), Mcp_Session_Id="kept-from-somewhere").read_head().status == 200


def test_changes_are_heard_by_those_who_listen_to_them_and_the_stream_ends_well(gateway, opened):
    session = {"Mcp_Session_Id": begin_session(gateway, opened)}
    listen = listening_to(toolsListChanged=True, x=1)
    listening = [opened(gateway, listen, **headers_of(listen)).read_head() for _ in range(4)]
    heard = [stream.events() for stream in listening]
    for events in heard:
        acknowledged = next(events)[1]
        assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
        assert acknowledged["params"]["notifications"] == {"toolsListChanged": True}
    standing = opened(gateway, None, "GET", **session).read_head().events()
    next(standing)  # the first comment: it listens
    state = open_state(gateway.redis_url, gateway.folder / "data/state.db")
    Changes(Switchboard(state.journals, wall_clock), wall_clock).list_changed("toolsListChanged")
    state.close()
    for events in heard:
        changed = next(events)[1]
        assert changed["method"] == "notifications/tools/list_changed"
        assert changed["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": 9}
    assert next(standing)[1]["method"] == "notifications/tools/list_changed"


def test_a_server_that_stops_ends_the_streams_with_their_answer(tmp_path, opened):
    gateway = Gateway(tmp_path)
    gateway.configured()
    try:
        gateway.started()
        listen = listening_to()
        events = opened(gateway, listen, **headers_of(listen)).read_head().events()
        next(events)
        gateway.signal(signal.SIGTERM)
        [(_, answer)] = list(events)
        assert answer["id"] == 9
        assert answer["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 9
        assert gateway.ended(10) == 0
    finally:
        gateway.stop()


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_what_can_only_be_a_stream_is_one_whatever_the_client_reads(gateway, opened, accept):
    listen = listening_to(toolsListChanged=True)
    stream = opened(gateway, listen, Accept=accept, **headers_of(listen)).read_head()
    assert next(stream.events())[1]["method"] == "notifications/subscriptions/acknowledged"
    listen["params"]["notifications"] = []
    assert opened(gateway, listen, Accept=accept, **headers_of(listen)).read_head().status == 400


def test_how_a_stream_ended_is_logged(gateway):
    listen = listening_to()
    stream = Stream(gateway, listen, **headers_of(listen))
    stream.read_head()
    before = len(gateway.events())
    stream.close()
    [ended] = until(lambda: [event for event in gateway.events()[before:] if event.get("event") == "stream"], "the stream is logged")
    assert (ended["ended"], ended["mcp_method"]) == ("cancelled", "subscriptions/listen")


def test_one_caller_can_hold_only_so_many_streams_and_others_are_not_disturbed(tmp_path, opened):
    gateway = Gateway(tmp_path)
    gateway.configured(RATE_LIMIT_MCP_MAX=1000)
    try:
        gateway.started()
        listen = listening_to(toolsListChanged=True)
        held = [opened(gateway, listen, **headers_of(listen)).read_head() for _ in range(MOST_OF_ONE_CALLER)]
        assert {stream.status for stream in held} == {200}
        for refused in (opened(gateway, listen, **headers_of(listen)), opened(gateway, call("llm_generate", prompt="x"))):
            assert (refused.read_head().status, refused.headers["retry-after"]) == (429, "5")
        assert opened(gateway, call("echo", message="x")).read_head().status == 200
        held[0].close()
        until(lambda: opened(gateway, listen, **headers_of(listen)).read_head().status == 200, "a closed stream makes room")
    finally:
        gateway.stop()


def test_nothing_waits_for_a_slow_reader_but_its_own_stream(gateway, opened):
    message = call(token="t", stateless=True, prompt="A story.", max_tokens=8)
    opened(gateway, message, **headers_of(message))  # never read
    assert opened(gateway, call("echo", message="x")).read_head().status == 200
