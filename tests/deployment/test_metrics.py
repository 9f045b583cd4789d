"""One scrape of any worker tells of all of them, also of those that are gone."""

from __future__ import annotations

import json
import os
import signal

from prometheus_client.parser import text_string_to_metric_families

from tests.llm.openai_wire import NAME, WORDS, OpenAIWire
from tests.running import API_KEY, until

CALLS = 40


def samples(gateway, name):
    status, body = gateway.request("GET", "/metrics")
    assert status == 200
    return [sample for family in text_string_to_metric_families(body) for sample in family.samples if sample.name == name]


def calls(gateway):
    return sum(sample.value for sample in samples(gateway, "gateway_mcp_call_duration_seconds_count") if sample.labels["tool"] == "echo")


def test_a_scrape_adds_all_workers_up_and_forgets_nothing_when_one_dies_or_all_are_exchanged(gateway, redis_url):
    gateway.configured(REDIS_URL=redis_url, WEB_CONCURRENCY=3)
    gateway.started()
    before = set(gateway.workers())
    for count in range(CALLS):
        gateway.call_tool("echo", message=str(count))
    assert [calls(gateway) for _ in range(6)] == [CALLS] * 6
    os.kill(min(before), signal.SIGKILL)
    until(lambda: set(gateway.live_workers()) - before, "another worker is there")
    assert calls(gateway) == CALLS
    gateway.signal(signal.SIGHUP)
    until(lambda: len(gateway.live_workers()) == 3 and not before & set(gateway.live_workers()), "all workers are new")
    gateway.call_tool("echo", message="more")
    assert calls(gateway) == CALLS + 1
    assert [sample.value for sample in samples(gateway, "gateway_store_up")] == [1, 1]
    assert [sample.value for sample in samples(gateway, "gateway_calls_open")] == [0]


def test_what_all_workers_asked_of_the_model_is_one_sum_and_nobody_waits_or_runs_in_the_end(gateway, redis_url):
    with OpenAIWire() as wire:
        gateway.configured(REDIS_URL=redis_url, WEB_CONCURRENCY=3, LLM_BACKEND="openai", LLM_URL=wire.url, LLM_CONCURRENCY=1)
        gateway.started()
        until(gateway.has_tested_its_model, "the self-test is over")

        def told(name, **labels):
            return sum(sample.value for sample in samples(gateway, name) if labels.items() <= sample.labels.items())

        def tokens():
            return told("gateway_model_tokens_total", back_end="openai", model=NAME, kind="answer")

        before = tokens()
        for number in range(8):
            assert gateway.call_tool("llm_generate", prompt=f"What is router {number}?")[0] == 200
        assert tokens() - before == 8 * len(WORDS)
        assert told("gateway_model_calls_running") == told("gateway_model_calls_waiting") == 0
        assert told("gateway_model_breaker_open") == 0
        wire.vanish()
        for _ in range(12):
            gateway.call_tool("llm_generate", prompt="What is a router?")
        assert [sample.value for sample in samples(gateway, "gateway_model_breaker_open") if sample.labels["breaker"] == "gate"] == [1]
        assert told("gateway_model_call_seconds_count", operation="answer", outcome="unavailable") >= 3


def test_a_call_that_runs_in_a_worker_that_dies_runs_no_more(gateway):
    with OpenAIWire() as wire:
        gateway.configured(WEB_CONCURRENCY=1, LLM_BACKEND="openai", LLM_URL=wire.url)
        gateway.started()
        until(gateway.has_tested_its_model, "the self-test is over")
        wire.fault = "hang midstream"
        connection = gateway.connection()
        connection.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "llm_generate", "arguments": {"prompt": "What is a router?"}}}), {
                "Content-Type": "application/json", "Accept": "application/json", "X-API-Key": API_KEY})
        until(lambda: [sample.value for sample in samples(gateway, "gateway_model_calls_running")] == [1], "it is told that it runs")
        (pid,) = gateway.live_workers()
        os.kill(pid, signal.SIGKILL)
        until(lambda: set(gateway.live_workers()) - {pid} and gateway.is_up(), "another worker is there")
        until(lambda: sum(sample.value for sample in samples(gateway, "gateway_model_calls_running")) == 0, "it runs no more")
        connection.close()
