"""Two hundred calls at a model with two slots, over real sockets and real workers: fair, in time, and in nobody else's way."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from statistics import median

import pytest

from tests.engine import wait_until
from tests.llm.openai_wire import WORDS, OpenAIWire
from tests.running import API_KEY, Gateway, until

CALLS, SLOTS, LLM_TIMEOUT = 200, 2, 5
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def wire():
    """A model that takes 0.15 s for an answer."""
    with OpenAIWire() as wire:
        wire.word_seconds = 0.15 / len(WORDS)
        yield wire


@pytest.fixture(scope="module", params=["sqlite, one worker", "redis, three workers"])
def gateway(request, tmp_path_factory, wire):
    redis = {"REDIS_URL": request.getfixturevalue("redis_url"), "WEB_CONCURRENCY": 3} if request.param.startswith("redis") else {}
    gateway = Gateway(tmp_path_factory.mktemp("gateway"))
    gateway.configured(LLM_BACKEND="openai", LLM_URL=wire.url, LLM_TIMEOUT=LLM_TIMEOUT, LLM_CONCURRENCY=SLOTS, **redis)
    try:
        gateway.started()
        until(gateway.has_tested_its_model, "the self-test is over")
        yield gateway
    finally:
        gateway.stop()


@pytest.fixture(scope="module")
def clients(gateway):
    """The headers that two clients call with."""
    return [client_of(gateway, name) for name in ("One", "Other")]


def client_of(gateway, name):
    made = json.loads(gateway.flask("clients", "create", "--name", name, "--grant", "client_credentials", "--json").stdout)
    form = f"grant_type=client_credentials&client_id={made['client_id']}&client_secret={made['client_secret']}"
    status, body = gateway.request("POST", "/oauth/token", form, FORM)
    assert status == 200, body
    return {"Authorization": f"Bearer {json.loads(body)['access_token']}"}


class Load:
    """What became of each call: who made it, whether it was answered, what it said, how long it took."""

    def __init__(self, gateway) -> None:
        self.gateway, self.done, self.threads = gateway, [], []

    def begin(self, who, headers, calls):
        for _ in range(calls):
            thread = threading.Thread(target=self._call, args=(who, headers))
            self.threads.append(thread)
            thread.start()

    def _call(self, who, headers):
        began = time.monotonic()
        status, body = post(self.gateway, "tools/call", headers, name="llm_generate", arguments={"prompt": "What is a router?"})
        result = json.loads(body)["result"] if status == 200 else {"isError": True, "content": [{"text": body}]}
        self.done.append((who, not result.get("isError"), result["content"][0]["text"], time.monotonic() - began))

    def end(self):
        for thread in self.threads:
            thread.join(30)
        assert len(self.done) == len(self.threads)

    def answered(self):
        return Counter(who for who, answered, *_ in self.done if answered)


def post(gateway, method, headers, **params):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    try:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        connection.request("POST", "/mcp", json.dumps(message), {"Content-Type": "application/json", "Accept": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def probe(gateway, stopped):
    """How long cheap requests take meanwhile, in seconds."""
    took = []
    while not stopped.wait(0.05):
        for ask in (lambda: gateway.get("/health/live"), lambda: post(gateway, "tools/list", {"X-API-Key": API_KEY})[0]):
            began = time.monotonic()
            assert ask() == 200
            took.append(time.monotonic() - began)
    return took


@pytest.mark.requirement("F40")
def test_two_hundred_calls_on_two_slots_are_fair_in_time_and_in_nobodys_way(gateway, wire, clients):
    wait_until(lambda: wire.answering == 0)
    greedy, modest = clients
    wire.most = 0
    load, stopped, took = Load(gateway), threading.Event(), []
    prober = threading.Thread(target=lambda: took.extend(probe(gateway, stopped)))
    prober.start()
    load.begin("greedy", greedy, CALLS - 5)
    wait_until(lambda: wire.answering == SLOTS)
    load.begin("modest", modest, 5)
    load.end()
    stopped.set()
    prober.join(30)
    answered = load.answered()
    assert wire.most == SLOTS
    assert answered["modest"] == 5, [text for who, fine, text, _ in load.done if who == "modest" and not fine]
    assert answered["greedy"] >= 10
    assert max(seconds for *_, seconds in load.done) < LLM_TIMEOUT + 1
    refused = {text.partition(":")[0] for _, fine, text, _ in load.done if not fine}
    assert refused <= {"The model is busy"}
    slowest_modest = max(seconds for who, *_, seconds in load.done if who == "modest")
    slowest_greedy = max(seconds for who, fine, _, seconds in load.done if who == "greedy" and fine)
    assert slowest_modest <= slowest_greedy + 0.5
    assert len(took) > 10
    assert median(took) < 0.25
    assert max(took) < 1.5
