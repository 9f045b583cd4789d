"""Keep-alive connections that send one request after another, and look at every answer.

One thread and one epoll: what the client itself needs stays small beside what is measured.
"""

from __future__ import annotations

import gc
import re
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
NO_ANSWER = 10.0  # seconds in which nothing at all came back


class WrongAnswer(Exception):
    """A server that is fast because it does something else is not measured."""


@dataclass
class Load:
    """What one load showed. `latencies` in seconds, sorted."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return len(self.latencies)

    def latency(self, share: float) -> float:
        return self.latencies[min(self.requests - 1, int(self.requests * share))]


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=NO_ANSWER)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.sent_at = perf_counter()
        self.socket.sendall(request)

    def answer(self) -> bytes | None:
        """The body, once it is there as a whole. Raises WrongAnswer unless it came with 200."""
        piece = self.socket.recv(65536)
        if not piece:
            raise WrongAnswer("The server closed a connection.")
        self.received += piece
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return None
        if not head.startswith(b"HTTP/1.1 200 "):
            raise WrongAnswer(f"{head.splitlines()[0]!r} {body[:300]!r}")
        length = CONTENT_LENGTH.search(head)
        if length is None:
            raise WrongAnswer("The answer has no Content-Length.")
        if len(body) < int(length[1]):
            return None
        self.received = b""
        return body


def run(port: int, request: bytes, expected: bytes, *, connections: int, seconds: float) -> Load:
    """Send `request` over and over for `seconds`; each connection waits for its answer, which must be `expected`."""
    load = Load()
    with _opened(port, connections) as by_descriptor, select.epoll() as ready:
        for descriptor in by_descriptor:
            ready.register(descriptor, select.EPOLLIN)
        began = perf_counter()
        until = began + seconds
        for connection in by_descriptor.values():
            connection.send(request)
        in_flight = connections
        while in_flight:
            events = ready.poll(NO_ANSWER)
            if not events:
                raise WrongAnswer(f"No answer for {NO_ANSWER:.0f} seconds.")
            for descriptor, _ in events:
                connection = by_descriptor[descriptor]
                body = connection.answer()
                if body is None:
                    continue
                if body != expected:
                    raise WrongAnswer(f"{body[:300]!r}")
                now = perf_counter()
                load.latencies.append(now - connection.sent_at)
                if now < until:
                    connection.send(request)
                else:
                    in_flight -= 1
        load.seconds = perf_counter() - began
    load.latencies.sort()
    return load


@contextmanager
def _opened(port: int, connections: int) -> Iterator[dict[int, _Connection]]:
    by_descriptor: dict[int, _Connection] = {}
    gc.collect()
    gc.disable()
    try:
        for _ in range(connections):
            connection = _Connection(port)
            by_descriptor[connection.socket.fileno()] = connection
        yield by_descriptor
    finally:
        for connection in by_descriptor.values():
            connection.socket.close()
        gc.enable()
