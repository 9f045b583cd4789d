"""One scrape of any worker tells of all of them, also of those that are gone."""

from __future__ import annotations

import os
import signal

from prometheus_client.parser import text_string_to_metric_families

from tests.running import until

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
