"""Traces from real workers to a collector, by the real SDK: one span a request, one a model call, joined, and nothing of what was said."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.collector import Collector
from tests.llm.openai_wire import NAME, WORDS, OpenAIWire
from tests.running import API_KEY, ROOT, environment, until

SECRET_WORDS = "zanzibar-marmalade"
CALLERS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NO_TRACES = (CALLERS.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32), CALLERS.replace("00-4", "ff-4"), "00-x", "9" * 5000, "")
SERVER, CLIENT = 2, 3


@pytest.fixture
def wire():
    with OpenAIWire() as wire:
        yield wire


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector


@pytest.fixture
def serving(gateway, wire, collector):
    """serving(**settings) → a gateway that runs, whose self-test is over."""

    def serve(**settings):
        gateway.configured(LLM_BACKEND="openai", LLM_URL=wire.url, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **settings)
        gateway.started()
        until(gateway.has_tested_its_model, "the self-test is over")
        wire.requests.clear()
        wire.heads.clear()
        return gateway

    return serve


def ask(gateway, *, tool="llm_generate", prompt=SECRET_WORDS, streams=False, **headers):
    arguments = {"prompt": prompt} if tool == "llm_generate" else {"message": prompt}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments, "_meta": {"progressToken": 1}}}
    status, body = gateway.request("POST", "/mcp", json.dumps(message), {
        "Content-Type": "application/json", "Accept": f"application/json{', text/event-stream' if streams else ''}", "X-API-Key": API_KEY, **headers})
    assert status == 200, body
    assert ("notifications/progress" in body) is streams


def stopped(gateway):
    """The seconds that a stop by systemd took."""
    began = time.monotonic()
    gateway.signal(signal.SIGTERM)
    assert gateway.ended(40) == 0
    return time.monotonic() - began


def passed_on(wire):
    """What the model server was told with each request: the trace, the span, whether it is sampled (bit 0 of the flags)."""
    told = [head["traceparent"].split("-") for head in wire.heads]
    return [(trace_id, span_id, bool(int(flags, 16) & 1)) for _, trace_id, span_id, flags in told]


def call_spans(collector):
    return [span for span in collector.named("POST /mcp") if span.attributes.get("gen_ai.tool.name")]


def test_a_call_and_what_the_model_did_for_it_are_one_trace_that_the_model_server_can_continue(serving, collector, wire):
    gateway = serving(OTEL_EXPORTER_OTLP_HEADERS="x-team=service%20desk")
    ask(gateway)
    assert stopped(gateway) < 20
    (asked,) = call_spans(collector)
    (answered,) = [span for span in collector.named("model answer") if span.trace_id == asked.trace_id]
    assert (asked.kind, asked.parent_id, asked.is_error) == (SERVER, "", False)
    request_id = asked.attributes.pop("gateway.request_id")
    assert asked.attributes == {
        "http.request.method": "POST", "http.route": "/mcp", "http.response.status_code": 200, "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "llm_generate"}
    assert (answered.kind, answered.parent_id) == (CLIENT, asked.span_id)
    assert answered.attributes == {
        "gen_ai.operation.name": "answer", "gen_ai.provider.name": "openai", "gen_ai.response.model": NAME, "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": len(WORDS)}
    assert asked.seconds >= answered.seconds > 0
    assert asked.resource["service.name"] == "servicenow-mcp-gateway"
    assert (asked.trace_id, answered.span_id, True) in passed_on(wire)
    (line,) = [event for event in gateway.events() if event.get("request_id") == request_id and event["event"] == "request"]
    assert line["trace_id"] == asked.trace_id
    assert collector.headers[0]["x-team"] == "service desk"


def test_no_word_of_a_prompt_an_answer_a_query_or_a_key_is_in_a_span(serving, collector, wire):
    gateway = serving()
    ask(gateway)
    ask(gateway, tool="echo")
    wire.fault = "busy 503"
    ask(gateway)
    gateway.get(f"/oauth/authorize?state={SECRET_WORDS}")
    gateway.get(f"/{SECRET_WORDS}")
    stopped(gateway)
    assert len(call_spans(collector)) == 3
    (failed,) = [span for span in collector.spans if span.attributes.get("error.type") == "busy"]
    assert failed.is_error
    assert {span.name for span in collector.spans} >= {"GET /oauth/authorize", "GET"}
    for word in (SECRET_WORDS, API_KEY, *(word.strip() for word in WORDS if len(word) > 4)):
        assert word.encode() not in collector.everything, word


@pytest.mark.parametrize("trust", ["on", "off"])
def test_a_callers_trace_is_continued_only_where_callers_are_trusted(serving, collector, wire, trust):
    gateway = serving(TRUST_TRACEPARENT=trust)
    for told in NO_TRACES:
        ask(gateway, traceparent=told)
    ask(gateway, traceparent=CALLERS)
    stopped(gateway)
    *others, asked = call_spans(collector)
    assert {span.parent_id for span in others} == {""}
    assert len({span.trace_id for span in others}) == len(others) == len(NO_TRACES)
    assert (asked.parent_id == "00f067aa0ba902b7") is (asked.trace_id == CALLERS[3:35]) is (trust == "on")
    assert asked.trace_id in [trace_id for trace_id, *_ in passed_on(wire)]


def test_what_is_not_sampled_is_neither_sent_nor_marked_for_the_model_server(serving, collector, wire):
    gateway = serving(OTEL_TRACES_SAMPLER_ARG="0")
    ask(gateway, traceparent=CALLERS)
    stopped(gateway)
    assert collector.spans == []
    assert {sampled for _, _, sampled in passed_on(wire)} == {False}


def test_a_streamed_call_is_one_trace_too_and_lasts_until_its_end(serving, collector, wire):
    gateway = serving()
    wire.word_seconds = 0.1
    ask(gateway, streams=True)
    stopped(gateway)
    (asked,) = call_spans(collector)
    (answered,) = [span for span in collector.named("model answer") if span.trace_id == asked.trace_id]
    assert asked.seconds >= answered.seconds >= 0.1 * len(WORDS)


def test_spans_come_while_the_server_runs_and_those_of_a_reload_are_not_lost(serving, collector):
    gateway = serving()
    ask(gateway)
    until(lambda: call_spans(collector), "the batch was sent", 15)
    ask(gateway)
    before = set(gateway.live_workers())
    gateway.signal(signal.SIGHUP)
    until(lambda: gateway.live_workers() and not before & set(gateway.live_workers()), "all workers are new")
    until(lambda: len(call_spans(collector)) == 2, "what the old worker had was sent", 15)
    ask(gateway)
    until(lambda: len(call_spans(collector)) == 3, "the new worker sends too", 15)


@pytest.mark.parametrize("away", ["hangs", "is gone"])
def test_a_collector_that_is_away_slows_no_request_and_no_stop(serving, collector, away):
    gateway = serving()
    if away == "hangs":
        collector.hangs = True
        ask(gateway)
        assert collector.asked.wait(15)
    else:
        collector.__exit__()
    began = time.monotonic()
    for number in range(20):
        ask(gateway, tool="echo", prompt=str(number))
    assert time.monotonic() - began < 5
    assert stopped(gateway) < 8, "the SDK itself would wait for ten seconds"
    assert not re.search(r'"level": ?"(critical|error)".*Traceback', gateway.output())


def test_without_a_collector_no_request_passes_through_any_of_it(gateway):
    """What redis-py imports of OpenTelemetry, where it is installed, is its own."""
    gateway.configured()
    command = (
        "import json, sys; from wsgi import app\n"
        "loaded = [name for name in sys.modules if name.startswith(('opentelemetry.sdk.trace', 'opentelemetry.exp', 'mcp_server.outbound.tele'))]\n"
        "hooks = [hook.__module__ for hook in (*app.before_request_funcs[None], *app.after_request_funcs[None])]\n"
        "print(json.dumps([loaded, 'mcp_server.web.request_log' in hooks, 'mcp_server.web.tracing' in hooks]))")
    done = subprocess.run([sys.executable, "-c", command], cwd=gateway.folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["[[], true, false]"], done.stdout + done.stderr


def test_a_start_without_the_packages_says_how_to_get_them(gateway, collector):
    gateway.configured(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    command = ("import importlib.util as util, sys, os; find = util.find_spec\n"
               "util.find_spec = lambda name, *rest: None if name.startswith('opentelemetry') else find(name, *rest)\n"
               "from mcp_server import prepare; sys.exit(prepare.main(['--check'], os.environ))")
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=gateway.folder, env={**environment(), "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False)
    assert done.returncode == 78
    assert "pip install -r requirements-tracing.txt" in done.stderr
