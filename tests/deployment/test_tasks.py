"""Tasks on real workers: several on Redis, one on SQLite. The model hangs in the middle of its answer until a test mends it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest
import redis

from tests.running import API_KEY, until

TASKS = "io.modelcontextprotocol/tasks"
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {"extensions": {TASKS: {}}}}
HEADERS = {
    "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "X-API-Key": API_KEY, "MCP-Protocol-Version": "2026-07-28"}


@pytest.fixture
def model(ollama):
    """It hangs once the gateway has tested it."""
    ollama.loaded.add("tiny:latest")
    return ollama


@pytest.fixture
def one_worker(gateway, model):
    gateway.configured(OLLAMA_API_URL=model.url, LLM_BACKEND="ollama", WEB_CONCURRENCY=1)
    gateway.started()
    return _tested(gateway, model)


@pytest.fixture
def four_workers(gateway, model, redis_url):
    url = f"{redis_url.rpartition('/')[0]}/8"
    with redis.Redis.from_url(url) as connection:
        connection.flushdb()
    gateway.configured(OLLAMA_API_URL=model.url, LLM_BACKEND="ollama", WEB_CONCURRENCY=4, REDIS_URL=url)
    gateway.start()
    until(lambda: len(gateway.workers()) == 4, "all workers are there", seconds=120)
    until(gateway.is_up, "they answer", seconds=120)
    return _tested(gateway, model)


def _tested(gateway, model):
    until(gateway.has_tested_its_model, "the self-test is over")
    model.fault = "hang midstream"
    return gateway


def ask(connection, method, **params):
    headers = {**HEADERS, "Mcp-Method": method, "Mcp-Name": params.get("taskId") or params["name"]}
    connection.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}), headers)
    with connection.getresponse() as response:
        return json.loads(response.read())["result"]


def send(gateway, method, **params):
    connection = gateway.connection()
    try:
        return ask(connection, method, **params)
    finally:
        connection.close()


def begin(gateway, model):
    """The id of a task that the model works on."""
    begun = send(gateway, "tools/call", name="llm_generate", arguments={"prompt": "What is a router?", "max_tokens": 8})
    assert begun["resultType"] == "task"
    until(lambda: model.answering, "the model works on it")
    return begun["taskId"]


def completed(gateway, task_id, seconds):
    task = until(lambda: (found := send(gateway, "tasks/get", taskId=task_id))["status"] != "working" and found, "the task ends", seconds)
    assert (task["status"], "isError" in task["result"]) == ("completed", False), task
    return task["result"]["content"][0]["text"]


def sockets(port, *, of):
    """Inodes of the established connections that have the port as their `local` or `remote` one."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "01" and int(row[{"local": 1, "remote": 2}[of]].rpartition(":")[2], 16) == port}


def holders(inodes, pids):
    """Those of the processes that have one of the sockets open."""
    found = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if descriptor.readlink().name in {f"socket:[{inode}]" for inode in inodes}:
                    found.add(pid)
    return found


def runner(gateway, model):
    """The worker that waits for the model's answer; the others keep connections to it too."""
    [pid] = holders(sockets(model.answers_to, of="local"), gateway.workers())
    return pid


def test_every_worker_knows_a_task_and_another_completes_it_when_its_own_was_killed(four_workers, model):
    task_id = begin(four_workers, model)
    assert {send(four_workers, "tasks/get", taskId=task_id)["status"] for _ in range(20)} == {"working"}
    os.kill(runner(four_workers, model), signal.SIGKILL)
    until(lambda: not model.answering, "the worker is gone")
    model.fault = ""
    assert completed(four_workers, task_id, seconds=30)
    [told] = [event for event in four_workers.events() if event["event"] == "task"]
    assert (told["status"], told["tries"], told["task_id"]) == ("completed", 2, task_id)


def test_a_cancellation_at_another_worker_stops_the_model_within_half_a_second(four_workers, model):
    took = []
    for _ in range(5):  # the best of them: the machine may be busy
        task_id = begin(four_workers, model)
        with to_another(four_workers, runner(four_workers, model)) as connection:
            assert ask(connection, "tasks/get", taskId=task_id)["status"] == "working"
            ask(connection, "tasks/cancel", taskId=task_id)
            began = time.monotonic()
            until(lambda: not model.answering, "the model stops")
            took.append(time.monotonic() - began)
            assert ask(connection, "tasks/get", taskId=task_id)["status"] == "cancelled"
    assert min(took) < 0.5


@contextlib.contextmanager
def to_another(gateway, pid):
    """A connection that another worker than this one has accepted."""
    with contextlib.ExitStack() as opened:
        for _ in range(50):
            connection = opened.enter_context(contextlib.closing(gateway.connection()))
            connection.connect()
            ours = connection.sock.getsockname()[1]
            accepted = until(lambda ours=ours: holders(sockets(ours, of="remote"), gateway.workers()), "somebody accepts it")
            if pid not in accepted:
                yield connection
                return
        pytest.fail("one worker accepts everything")


def test_a_task_goes_on_after_a_restart(one_worker, model):
    task_id = begin(one_worker, model)
    one_worker.signal(signal.SIGTERM)
    assert one_worker.ended() == 0
    assert not model.answering
    with contextlib.closing(sqlite3.connect(one_worker.folder / "data/state.db")) as state:
        assert state.execute("SELECT status, lease FROM tasks").fetchall() == [("working", "")]  # given back
    model.fault = ""
    one_worker.started()
    assert completed(one_worker, task_id, seconds=30)


def test_a_task_goes_on_after_a_crash(one_worker, model):
    task_id = begin(one_worker, model)
    one_worker.stop()
    model.fault = ""
    one_worker.started()
    assert completed(one_worker, task_id, seconds=30)
