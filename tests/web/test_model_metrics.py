"""What the metrics tell of the models, the knowledge and the tasks."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mcp_server.background import watching_the_knowledge, watching_the_tasks
from mcp_server.concurrency import pause
from mcp_server.deadline import Deadline
from mcp_server.errors import BadModelOutput, ContextTooLong, ModelBusy, ModelError, ModelTimeout, ModelUnavailable
from mcp_server.knowledge.access import Policy
from mcp_server.knowledge.building import Builder
from mcp_server.llm.breaker import OPEN_SECONDS
from mcp_server.llm.gate import Gate
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.ports import Answer, Message, Prompt
from mcp_server.llm.watched import WatchedModel
from mcp_server.metrics import MOST_MODELS, OTHER_MODELS, Metrics
from mcp_server.tracing import UNTRACED
from tests.engine import TINY, ollama, tiny_engine, tiny_engine_folder, tiny_weights, wait_until
from tests.gateway import API_KEY, ENVIRON, Gateway
from tests.knowledge_base import article
from tests.llm.openai_wire import NAME, WORDS, OpenAIWire
from tests.scraping import samples

__all__ = ["ollama", "tiny_engine", "tiny_engine_folder", "tiny_weights"]

PROMPT = Prompt([Message("user", "What is a router?")], max_tokens=12, temperature=0.0, seed=1)
SECONDS = 20
CALLS = "gateway_model_call_seconds_count"


def figures(metrics, name, **labels):
    return [value for told, value in samples(metrics.exposition().decode(), name) if labels.items() <= told.items()]


def until(condition):
    """Unlike `wait_until`, this lets greenlets run."""
    for _ in range(2000):
        if condition():
            return
        pause(0.005)
    pytest.fail("it did not come to that")


@pytest.fixture
def wire():
    with OpenAIWire() as wire:
        yield wire


@pytest.fixture
def second_wire():
    with OpenAIWire() as wire:
        yield wire


@pytest.fixture
def serving(data_folder, clock, wire):
    """serving(**environ) → a gateway in front of the model server of this test."""
    opened = []

    def serve(**environ):
        files = {"DATABASE_URL": f"sqlite:///{data_folder}/registry.db", "STATE_PATH": f"{data_folder}/state.db",
                 "KNOWLEDGE_PATH": f"{data_folder}/knowledge"}
        opened.append(Gateway({**ENVIRON, **files, "LLM_BACKEND": "openai", "LLM_URL": wire.url, "LLM_TIMEOUT": "20", **environ}, clock, None))
        return opened[-1]

    yield serve
    for gateway in opened:
        gateway.services.close()


def call(gateway, tool, **arguments):
    answer = gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}},
                         headers={"X-API-Key": API_KEY})
    assert answer.status_code == 200, answer.text
    return answer.json["result"]


def asks_the_model(gateway, seed=1):
    """The answer; None when there was none."""
    try:
        return gateway.services.model.answer(replace(PROMPT, seed=seed), Deadline.after(SECONDS))
    except ModelError:
        return None


def test_each_answer_is_counted_with_its_tokens_and_the_same_question_is_a_hit(serving):
    gateway = serving()
    metrics = gateway.services.metrics
    for _ in range(3):
        assert asks_the_model(gateway).complete
    assert figures(metrics, CALLS, operation="answer", back_end="openai", model=NAME, outcome="ok") == [1]
    assert figures(metrics, "gateway_model_tokens_total", back_end="openai", model=NAME, kind="prompt") == [7]
    assert figures(metrics, "gateway_model_tokens_total", back_end="openai", model=NAME, kind="answer") == [len(WORDS)]
    assert figures(metrics, "gateway_model_cache_lookups_total", result="misses") == [1]
    assert figures(metrics, "gateway_model_cache_lookups_total", result="hits") == [2]
    assert figures(metrics, "gateway_model_wait_seconds_count", granted="yes") == [1]
    assert figures(metrics, "gateway_model_calls_running") == figures(metrics, "gateway_model_calls_waiting") == [0]


def test_a_model_that_fails_is_counted_by_its_failure_until_the_breaker_opens_and_closes_again(serving, wire):
    gateway = serving()
    metrics = gateway.services.metrics
    assert figures(metrics, "gateway_model_breaker_open", breaker="gate") == [0]
    assert figures(metrics, "gateway_model_breaker_open", breaker="embedding") == [0]
    asks_the_model(gateway)
    wire.fault = "busy 503"
    asks_the_model(gateway, seed=2)
    wire.fault = "html 502"
    for seed in range(3, 9):
        assert asks_the_model(gateway, seed) is None
    assert figures(metrics, CALLS, outcome="busy") == [1]
    assert figures(metrics, CALLS, outcome="unavailable") == [3], "the others were refused at once"
    assert figures(metrics, "gateway_model_breaker_open", breaker="gate") == [1]


def test_an_open_breaker_is_told_until_the_model_answers_again():
    now, metrics, away = [0.0], Metrics(), [True]

    class Away:
        def answer(self, *_):
            if away[0]:
                raise ModelUnavailable("Nobody is there.")
            return Answer("x", "m", complete=True)

    gate = Gate(Away(), slots=1, clock=lambda: now[0], observer=metrics)
    told = []
    for _ in range(4):
        with pytest.raises(ModelUnavailable):
            gate.answer(PROMPT, Deadline.after(SECONDS))
        told += figures(metrics, "gateway_model_breaker_open", breaker="gate")
    now[0] += OPEN_SECONDS
    away[0] = False
    gate.answer(PROMPT, Deadline.after(SECONDS))
    assert [*told, *figures(metrics, "gateway_model_breaker_open", breaker="gate")] == [0, 0, 1, 1, 0]


@pytest.mark.parametrize(("fault", "answered"), [("", "yes"), ("html 502", "no")])
def test_what_the_second_back_end_was_asked_is_counted_apart(serving, wire, second_wire, fault, answered):
    wire.vanish()
    second_wire.fault = fault
    gateway = serving(LLM_FALLBACK_BACKEND="openai", LLM_FALLBACK_URL=second_wire.url, DEFAULT_LLM_MODEL=NAME)
    asks_the_model(gateway)
    metrics = gateway.services.metrics
    assert figures(metrics, "gateway_model_failovers_total") == [1]
    assert figures(metrics, "gateway_model_failovers_total", answered=answered) == [1]
    assert figures(metrics, "gateway_model_breaker_open", breaker="first") == [0]
    assert sum(figures(metrics, CALLS, back_end="openai")) == 2


def test_who_waits_who_runs_and_who_gave_up_is_told():
    metrics, began, go = Metrics(), threading.Event(), threading.Event()

    class Held:
        def answer(self, *_):
            began.set()
            assert go.wait(SECONDS)
            return Answer("x", "m", complete=True)

    gate = Gate(Held(), slots=1, observer=metrics)
    threads = [threading.Thread(target=gate.answer, args=(PROMPT, Deadline.after(SECONDS))) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: gate.waiting == 2)
    assert (figures(metrics, "gateway_model_calls_running"), figures(metrics, "gateway_model_calls_waiting")) == ([1], [2])
    with pytest.raises(ModelBusy):
        gate.answer(PROMPT, Deadline.after(2.01))
    go.set()
    for thread in threads:
        thread.join(SECONDS)
    assert (figures(metrics, "gateway_model_calls_running"), figures(metrics, "gateway_model_calls_waiting")) == ([0], [0])
    assert figures(metrics, "gateway_model_wait_seconds_count", granted="yes") == [3]
    assert figures(metrics, "gateway_model_wait_seconds_count", granted="no") == [1]


@pytest.mark.parametrize(("failure", "left", "outcome"), [
    (ModelTimeout("late"), 5, "timeout"), (KeyboardInterrupt(), 5, "gave_up"), (KeyboardInterrupt(), 0, "timeout"),
    (BadModelOutput("odd"), 5, "bad_model_output"), (ContextTooLong("long"), 5, "context_too_long"),
])
def test_a_call_that_ends_otherwise_is_counted_too(failure, left, outcome):
    metrics = Metrics()

    class Fails:
        def label_probabilities(self, *_):
            raise failure

    with pytest.raises(type(failure)):
        WatchedModel(Fails(), "auto", metrics, UNTRACED).label_probabilities(PROMPT, ("a", "b"), Deadline.after(left))
    assert figures(metrics, CALLS, operation="label_probabilities", back_end="auto", model="", outcome=outcome) == [1]


def test_a_load_is_told_when_it_happened_and_the_look_at_a_model_in_memory_is_none(ollama):
    metrics = Metrics()
    model = WatchedModel(Ollama(ollama.url, context=4096, observer=metrics), "ollama", metrics, UNTRACED)
    for _ in range(2):
        model.answer(PROMPT, Deadline.after(SECONDS))
    assert figures(metrics, "gateway_model_load_seconds_count", back_end="ollama", model=TINY) == [1]


def test_a_load_within_an_answer_is_told():
    class Loads:
        def answer(self, *_):
            return Answer("x", "m", complete=True, back_end="ollama", load_seconds=12.5)

    metrics = Metrics()
    WatchedModel(Loads(), "auto", metrics, UNTRACED).answer(PROMPT, Deadline.after(SECONDS))
    assert figures(metrics, "gateway_model_load_seconds_sum", back_end="ollama", model="m") == [12.5]


def test_a_server_with_hundreds_of_models_makes_few_series():
    metrics = Metrics()
    for number in range(300):
        metrics.called("answer", "openai", f"model-{number}", "ok", 1.0)
    assert len(figures(metrics, CALLS)) == MOST_MODELS + 1
    assert figures(metrics, CALLS, model=OTHER_MODELS) == [300 - MOST_MODELS]


def test_vectors_and_searches_and_what_is_searched_are_told(serving, wire):
    gateway = serving()
    built, metrics = gateway.services, gateway.services.metrics
    watch = watching_the_knowledge(built.knowledge.index, metrics)
    watch()
    assert figures(metrics, "gateway_knowledge_documents", kind="article") == figures(metrics, "gateway_knowledge_built_timestamp_seconds") == [0]
    built.knowledge.corpus.put([article("KB1", text="The vpn drops."), article("KB2", text="Printers.")], "test")
    Builder(built.knowledge.corpus, built.knowledge.index, built.embedder, Policy(), gateway.clock).build(lambda *_: None)
    watch()
    assert figures(metrics, "gateway_knowledge_documents", kind="article") == [2]
    assert figures(metrics, "gateway_knowledge_documents", kind="incident") == [0]
    assert figures(metrics, "gateway_knowledge_built_timestamp_seconds") == [pytest.approx(gateway.clock())]
    made = sum(figures(metrics, "gateway_embedded_texts_total", model=NAME))
    assert made >= 2
    call(gateway, "search_knowledge", query="vpn")
    assert figures(metrics, "gateway_embedded_texts_total", model=NAME) == [made + 1]
    wire.fault = "html 502"
    call(gateway, "search_knowledge", query="vpn")
    searches = "gateway_knowledge_search_seconds_count"
    assert figures(metrics, searches, kind="article", method="lexical+vectors", outcome="ok") == [1]
    assert figures(metrics, searches, kind="article", method="lexical", outcome="degraded") == [1]
    assert figures(metrics, CALLS, operation="embed", outcome="unavailable") == [1]


def test_tasks_are_told_when_they_end_and_while_they_run(gateway):
    built = gateway.services
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}}
    headers = {"X-API-Key": API_KEY, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "summarize_incident"}
    params = {"name": "summarize_incident", "arguments": {"short_description": "x", "description": "y"}, "_meta": meta}
    answer = gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, headers=headers)
    assert "taskId" in json.dumps(answer.json), answer.text
    until(lambda: figures(built.metrics, "gateway_task_seconds_count", tool="summarize_incident"))
    assert sum(figures(built.metrics, "gateway_task_seconds_count")) == 1
    for running in (3, 0):
        watching_the_tasks(SimpleNamespace(running=running), built.metrics)()
        assert figures(built.metrics, "gateway_tasks_running") == [running]


def test_first_tokens_and_refreshed_ones_are_told_apart_by_the_grant(gateway, client):
    tokens = gateway.tokens(client)
    for _ in range(2):
        tokens = gateway.refresh(client, tokens["refresh_token"]).json
    gateway.refresh(client, "no token")
    metrics = gateway.services.metrics
    assert figures(metrics, "gateway_tokens_issued_total", grant_type="authorization_code") == [1]
    assert figures(metrics, "gateway_tokens_issued_total", grant_type="refresh_token") == [2]
    assert len(figures(metrics, "gateway_tokens_issued_total")) == 2
