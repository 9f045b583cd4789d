"""What counts as a scenario that passed, and what the token proxy does to what goes through it."""

from __future__ import annotations

import socket

import pytest

from tests.conformance import suite
from tests.conformance.scenarios import LEFT_OUT_BY_THE_SUITE, SCENARIOS, surprises
from tests.conformance.token_proxy import TokenProxy


def check(status, id="ping"):
    return {"id": id, "status": status, "description": "what is checked"}


@pytest.mark.parametrize(("checks", "verdict"), [
    ([check("SUCCESS")], "passed"),
    ([check("SUCCESS"), check("INFO")], "passed"),
    ([check("SUCCESS"), check("FAILURE")], "FAILURE ping: what is checked"),
    ([check("SUCCESS"), check("WARNING") | {"errorMessage": "should"}], "WARNING ping: should"),
    ([check("SUCCESS"), check("SKIPPED")], "SKIPPED ping: what is checked"),
    ([check("INFO")], "nothing was checked"),
    ([check("SUCCESS", "wire-schema-valid")], "nothing was checked"),
    ([], "nothing was checked"),
])
def test_a_scenario_passed_when_something_was_checked_and_nothing_was_wrong(checks, verdict):
    assert suite.verdict(checks) == verdict


@pytest.fixture
def found():
    """What comes of every scenario when all is as expected."""
    return {revision: dict.fromkeys(scenarios, suite.PASSED) | {scenario: what for scenario, what in LEFT_OUT_BY_THE_SUITE.items()
                                                                if scenario in scenarios} for revision, scenarios in SCENARIOS.items()}


def test_nothing_is_told_when_all_is_as_expected(found):
    assert surprises(found) == ""


def test_a_scenario_that_failed_got_lost_or_is_new_is_told_by_name(found):
    found["2025-11-25"]["ping"] = "FAILURE ping: no answer"
    del found["2026-07-28"]["tools-list"]
    found["2026-07-28"]["telepathy"] = suite.PASSED
    found["2026-07-28"]["tasks-status-notifications"] = suite.PASSED
    assert surprises(found).splitlines() == [
        "2025-11-25 ping: FAILURE ping: no answer", "2026-07-28 tasks-status-notifications: passed", "2026-07-28 telepathy: passed",
        "2026-07-28 tools-list: did not run"]


@pytest.fixture
def ends():
    """A client and a server with the proxy between them, the request on its way."""
    with socket.create_server(("127.0.0.1", 0)) as listener, TokenProxy(listener.getsockname()[1]) as proxy:
        proxy.token = "t0ken"
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
            client.sendall(b"POST /mcp HTTP/1.1\r\nHost: evil.example\r\nauthorization: Bearer other\r\nContent-Length: 4\r\n\r\nab")
            listener.settimeout(10)
            server, _ = listener.accept()
            with server:
                server.settimeout(10)
                yield client, server


def test_the_proxy_changes_nothing_but_the_token_and_the_length_of_the_connection(ends):
    client, server = ends
    assert received(server, b"ab") == (
        b"POST /mcp HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 4\r\nAuthorization: Bearer t0ken\r\nConnection: close\r\n\r\nab")
    client.sendall(b"cd")
    assert received(server, b"cd") == b"cd"


def test_the_proxy_passes_on_what_there_is_and_who_left(ends):
    client, server = ends
    received(server, b"ab")
    server.sendall(b"HTTP/1.1 200 OK\r\n\r\nfirst")
    assert received(client, b"first").endswith(b"first")
    client.close()
    assert server.recv(1) == b""


def test_the_proxy_passes_on_that_the_server_left(ends):
    client, server = ends
    received(server, b"ab")
    server.close()
    assert client.recv(1) == b""


def received(connection, end):
    content = b""
    while not content.endswith(end):
        part = connection.recv(4096)
        assert part, content
        content += part
    return content
