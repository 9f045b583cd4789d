"""Redis is gone, hangs, was restarted, or the connection is cut in the middle."""

import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.models import AuthorizationCode, Revocation
from mcp_server.storage.redis import RedisState
from tests.servers import RedisServer, free_port

CODE = AuthorizationCode("client", "https://example.com/cb", True, "tools:read", "user", "https://example.com/mcp", "grant", expires_at=1_000_060.0)


class Stopwatch:
    """Time that passes when the test says so."""

    def __init__(self):
        self.reading = 0.0

    def __call__(self):
        return self.reading


@pytest.fixture
def stopwatch():
    return Stopwatch()


@pytest.fixture
def server():
    """A Redis that this test may kill."""
    own = RedisServer(persist=True)
    try:
        own.start()
        yield own
    finally:
        own.remove()


@pytest.fixture
def state(server, stopwatch, now):
    opened = RedisState(server.url, clock=lambda: now, elapsed=stopwatch)
    yield opened
    opened.close()


def seconds_to_refuse(call):
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        call()
    return time.monotonic() - started


def test_a_state_connects_to_nothing_until_it_is_used():
    RedisState(f"redis://127.0.0.1:{free_port()}/0")


def test_an_option_that_redis_does_not_have_is_found_at_the_start():
    with pytest.raises(TypeError):
        RedisState("redis://127.0.0.1/0?no_such_option=1")


@pytest.mark.requirement("F01")
def test_a_killed_redis_is_an_outage_and_heals_when_it_is_back(server, state, stopwatch, now):
    state.codes.add("code", CODE)
    server.kill()
    for call in (lambda: state.revocations.admit(["id"], "caller", 60, now), lambda: state.codes.find("code", now), state.ping):
        assert seconds_to_refuse(call) < 1.5
    server.start()
    assert seconds_to_refuse(state.ping) < 0.1  # the breaker is open: nothing was asked
    stopwatch.reading += 1.0
    state.ping()
    assert state.revocations.admit(["id"], "caller", 60, now).hits == 1


@pytest.mark.requirement("F02")
def test_a_redis_that_hangs_is_an_outage_soon_and_then_at_once(server, state, stopwatch, now):
    state.ping()
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        assert [seconds_to_refuse(lambda: state.codes.claim("code", now)) < 1.5 for _ in range(3)] == [True] * 3
        assert seconds_to_refuse(state.ping) < 0.1
        stopwatch.reading += 1.0
        assert 0.1 < seconds_to_refuse(state.ping) < 1.5  # one probe
        assert seconds_to_refuse(state.ping) < 0.1
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    stopwatch.reading += 1.0
    state.ping()


def test_after_a_restart_connections_that_died_unnoticed_do_no_harm(server, state, now):
    state.codes.add("code", CODE)
    server.stop()
    server.start()
    assert state.codes.claim("code", now) is True
    server.stop()
    server.start()
    assert state.revocations.admit(["id"], "caller", 60, now).hits == 1


@pytest.mark.requirement("F04")
def test_after_a_restart_a_copy_that_was_persisted_is_not_complete_until_it_is_filled_again(server, state, now):
    state.revocations.put([Revocation(1, "id", now + 60)], now)
    state.revocations.mark_complete()
    assert state.revocations.any_revoked(["other"], now) is False
    server.stop()
    server.start()
    assert state.revocations.any_revoked(["id"], now) is True
    assert state.revocations.any_revoked(["other"], now) is None
    state.revocations.put([Revocation(1, "id", now + 60)], now)
    state.revocations.mark_complete()
    assert state.revocations.any_revoked(["other"], now) is False


def test_a_copy_whose_redis_was_restarted_while_it_was_filled_is_not_marked_complete(server, state, now):
    state.revocations.put([Revocation(1, "id", now + 60)], now)
    server.kill()
    server.start()
    with pytest.raises(StoreUnavailable, match="storage"):
        state.revocations.mark_complete()
    assert state.revocations.any_revoked(["id"], now) is None
    state.revocations.put([Revocation(1, "id", now + 60)], now)
    state.revocations.mark_complete()
    assert state.revocations.any_revoked(["other"], now) is False


@pytest.mark.requirement("F12")
def test_a_claim_whose_answer_is_lost_is_sent_once(server, now):
    with CuttingProxy(server.port) as proxy:
        state = RedisState(proxy.url, clock=lambda: now)
        state.codes.add("code", CODE)
        state.codes.claim("another", now)  # Redis knows the script from now on
        proxy.cut_next_answer = True
        with pytest.raises(StoreUnavailable):
            state.codes.claim("code", now)
        assert proxy.connections == 1
        assert state.codes.find("code", now).claimed is True
        state.close()


@pytest.mark.requirement("F12")
def test_a_read_whose_answer_is_lost_is_asked_once_more(server, now):
    with CuttingProxy(server.port) as proxy:
        state = RedisState(proxy.url, clock=lambda: now)
        state.codes.add("code", CODE)
        proxy.cut_next_answer = True
        assert state.codes.find("code", now) == CODE
        proxy.cut_next_answer = True
        assert state.revocations.admit(["id"], "", 60, now).revoked is False
        assert proxy.connections == 3
        state.close()


class CuttingProxy:
    """Between a caller and Redis; on demand it cuts the connection instead of handing an answer back."""

    def __init__(self, port):
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self.cut_next_answer = False
        self.connections = 0
        self._threads = []

    def __enter__(self):
        self._spawn(self._accept)
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _spawn(self, target, *args):
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self):
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._port))
            self._spawn(self._hand_on, caller, server, False)
            self._spawn(self._hand_on, server, caller, True)

    def _hand_on(self, source, target, answers):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers and self.cut_next_answer:
                    self.cut_next_answer = False
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            if answers:
                end.close()
