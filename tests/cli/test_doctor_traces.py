"""Whether `flask doctor` notices that no trace reaches its collector."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from mcp_server.cli.checks import traces
from tests.collector import Collector


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector


@pytest.fixture
def look(machine):
    def look(endpoint, **changes):
        looked = machine.run("doctor", "--json", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **changes)
        assert looked.status == 0  # a collector that is away stops nothing
        [found] = [finding for finding in looked.json if finding["check"] == "traces"]
        return found

    return look


def test_a_collector_that_takes_what_a_worker_sends_is_well(look, collector):
    found = look(f"{collector.url}/", OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20s3cret-of-the-collector")
    assert (found["level"], found["next_step"]) == ("ok", "")
    [headers] = collector.headers
    assert (headers["authorization"], headers["Content-Type"]) == ("Bearer s3cret-of-the-collector", "application/x-protobuf")
    assert collector.spans == []
    assert "s3cret" not in json.dumps(found)


@pytest.mark.parametrize(("status", "words"), [
    (401, "OTEL_EXPORTER_OTLP_HEADERS"), (403, "OTEL_EXPORTER_OTLP_HEADERS"), (404, "4318"), (405, "/v1/traces is added"), (503, "overloaded"),
    (302, "no collector"), (400, "See its log"),
])
def test_a_collector_that_refuses_is_told_of_with_the_next_step(look, collector, status, words):
    collector.status = status
    found = look(collector.url)
    assert (found["level"], str(status) in found["said"], words in found["next_step"]) == ("warn", True, True)


def test_a_collector_that_is_away_is_told_of(look):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        found = look(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert found["level"] == "warn"
    assert "nothing listens there" in found["said"]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in found["next_step"]


def test_a_collector_that_hangs_holds_nobody_up(look, collector, monkeypatch):
    monkeypatch.setattr(traces, "SECONDS", 0.2)
    collector.hangs = True
    assert "no answer in time" in look(collector.url)["said"]


def test_the_port_of_grpc_is_named_as_the_reason(look, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(traces, "GRPC_PORT", server.getsockname()[1])

        def speak():
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00@\x00")  # HTTP/2: its settings

        thread = threading.Thread(target=speak)
        thread.start()
        found = look(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert (found["level"], "4317 is gRPC" in found["next_step"], "Start it" in found["next_step"]) == ("warn", True, False)


def test_nothing_is_said_where_tracing_is_off(machine):
    assert [finding for finding in machine.run("doctor", "--json").json if finding["check"] == "traces"] == []
