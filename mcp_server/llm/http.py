"""HTTP to a model server: four limits that no model server has itself, and its failures as our errors.

The limits: seconds to connect, seconds between two parts of an answer, seconds in all, bytes in all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import EmptyPoolError, HTTPError, ProtocolError, ReadTimeoutError, SSLError

from mcp_server.concurrency import give_up_after
from mcp_server.deadline import Deadline
from mcp_server.errors import BadModelOutput, ModelBusy, ModelError, ModelTimeout, ModelUnavailable
from mcp_server.tracing import outgoing

CONNECT_SECONDS = 2.0
GAP_SECONDS = 30.0  # between two parts; the first part may take the whole deadline, since the prompt is read before it
CERTIFICATE_HINT = "Ask the operator to add its authority to this machine's trusted certificates, or to SSL_CERT_FILE."
MOST_BYTES = 8 * 1024 * 1024
MOST_BYTES_OF_AN_ERROR = 64 * 1024
OK = 200


class StatusError(Exception):
    """The server answered with another status than 200. `body` is what it said, cut; a back end makes a ModelError of it."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body


class Http:
    """One model server. Every method ends before the deadline, gives its connection back, and raises StatusError or a ModelError.

    At most `connections` are open at once; they are made by the process that uses them, so that a fork shares none.
    `hint` says to an operator what to look at when nothing answers. No redirect is followed and no proxy setting is read, so that
    requests go where the operator said, and nowhere else. The certificate of an https server is verified against the machine's store.
    """

    def __init__(self, url: str, *, connections: int, hint: str, headers: Mapping[str, str] | None = None) -> None:
        self._url = url.rstrip("/")
        self._connections = connections
        self._hint = hint
        self._headers = {**(headers or {}), "Content-Type": "application/json"}
        self._pool: tuple[int, urllib3.PoolManager] | None = None

    def get(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """The JSON object at `path`."""
        with self._exchange("GET", path, None, deadline) as response:
            return self._json_object(b"".join(_parts(response, deadline)))

    def post(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """The JSON object that answers `body`."""
        with self._exchange("POST", path, body, deadline) as response:
            return self._json_object(b"".join(_parts(response, deadline)))

    @contextmanager
    def lines(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> Iterator[Iterator[bytes]]:
        """The lines that answer `body`, as they come. Leaving the block early closes the connection, which stops the model."""
        with self._exchange("POST", path, body, deadline) as response:
            yield _lines(_parts(response, deadline))

    def not_a_model_server(self, detail: str) -> ModelUnavailable:
        return ModelUnavailable(f"What answers is not a model server. {self._hint}", detail=detail)

    def unanswered(self, detail: str) -> ModelUnavailable:
        return ModelUnavailable(f"The model server does not answer. {self._hint}", detail=detail)

    @contextmanager
    def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None, deadline: Deadline) -> Iterator[urllib3.BaseHTTPResponse]:
        response: urllib3.BaseHTTPResponse | None = None
        with give_up_after(deadline.left, too_late):
            try:
                response = self._request(method, path, body, deadline)
                if response.status != OK:
                    raise StatusError(response.status, _start_of(response, deadline))
                yield response
            except (HTTPError, OSError) as error:
                raise self._fault(error, deadline) from error
            finally:
                if response is not None:
                    response.close()  # a half-read connection must not be used again …
                    response.release_conn()  # … but its place in the pool must

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None, deadline: Deadline) -> urllib3.BaseHTTPResponse:
        """Tried twice when the server hung up before its answer: it closes idle connections just as we use one."""
        try:
            return self._request_once(method, path, body, deadline)
        except ProtocolError:
            return self._request_once(method, path, body, deadline)

    def _request_once(self, method: str, path: str, body: Mapping[str, Any] | None, deadline: Deadline) -> urllib3.BaseHTTPResponse:
        left = deadline.left
        if not left:
            raise too_late()
        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, left), read=left)
        headers = {**self._headers, **(outgoing.get() or {})}
        return self._pool_of_this_process().request(
            method, self._url + path, body=None if body is None else orjson.dumps(body), headers=headers, timeout=timeout,
            pool_timeout=left, preload_content=False, decode_content=False, redirect=False, retries=False,
        )

    def _pool_of_this_process(self) -> urllib3.PoolManager:
        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = (os.getpid(), urllib3.PoolManager(maxsize=self._connections, block=True, retries=False))
        return self._pool[1]

    def _fault(self, error: Exception, deadline: Deadline) -> ModelError:
        detail = f"{type(error).__name__}: {error}"
        if isinstance(error, EmptyPoolError):
            return ModelBusy("The model server is busy. Try again in a few seconds.", detail=detail)
        if isinstance(error, SSLError):
            return ModelUnavailable(f"The certificate of the model server is not trusted. {CERTIFICATE_HINT}", detail=detail)
        if isinstance(error, ReadTimeoutError):
            return too_late() if deadline.left < GAP_SECONDS else _stalled(detail)
        if isinstance(error, ProtocolError):
            return broken_off(detail)
        return self.unanswered(detail)

    def _json_object(self, body: bytes) -> dict[str, Any]:
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise self.not_a_model_server(str(error)) from None
        if not isinstance(parsed, dict):
            raise self.not_a_model_server("JSON, but no object")
        return parsed


def too_late() -> ModelTimeout:
    return ModelTimeout("The model did not answer in time. Try again with a shorter text, or ask for a shorter answer.")


def broken_off(detail: str) -> ModelUnavailable:
    return ModelUnavailable("The model server broke off its answer. Try again in a few seconds.", detail=detail)


def _stalled(detail: str) -> ModelTimeout:
    return ModelTimeout(f"The model wrote nothing for {GAP_SECONDS:.0f} seconds. Try again in a few seconds.", detail=detail)


def _start_of(response: urllib3.BaseHTTPResponse, deadline: Deadline) -> str:
    start = bytearray()
    for part in _parts(response, deadline):
        start += part
        if len(start) > MOST_BYTES_OF_AN_ERROR:
            break
    return start[:MOST_BYTES_OF_AN_ERROR].decode(errors="replace")


def _parts(response: urllib3.BaseHTTPResponse, deadline: Deadline) -> Iterator[bytes]:
    """What comes, as it comes. The socket's own timeout follows the deadline, for where nothing else can interrupt a read."""
    size = 0
    for part in response.stream(65536):
        size += len(part)
        if size > MOST_BYTES:
            raise BadModelOutput("The model server sent far more than an answer. Ask for a shorter answer.", detail=f"more than {MOST_BYTES} bytes")
        yield part
        left = deadline.left
        if not left:
            raise too_late()
        connection = response.connection
        if isinstance(connection, HTTPConnection) and connection.sock is not None:
            connection.sock.settimeout(min(GAP_SECONDS, left))


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Split at line feeds alone: str.splitlines would also split inside a JSON string, at U+2028."""
    unfinished = bytearray()
    for part in parts:
        unfinished += part
        if b"\n" in part:
            *lines, unfinished = unfinished.split(b"\n")
            yield from (bytes(line) for line in lines)
    if unfinished:
        yield bytes(unfinished)
