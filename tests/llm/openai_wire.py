"""A server with the OpenAI API that says prepared words, and fails as real ones do, on demand: set `fault`.

What a real engine answers is tested on a real one; this is for what it cannot be made to do.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

NAME = "prepared:latest"
WORDS = ("A ", "router ", "passes ", "packets ", "on.")
REFUSALS = {
    "busy 503": (503, {"error": {"message": "no slot available", "code": 503}}),
    "busy 429": (429, {"error": {"message": "Too many requests", "code": 429}}),
    "loading": (503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}),
    "not found": (404, {"error": {"message": f"The model `{NAME}` does not exist.", "type": "NotFoundError", "code": 404}}),
    "overflow": (400, {"error": {"code": 400, "message": "m", "type": "exceed_context_size_error", "n_prompt_tokens": 6031, "n_ctx": 2048}}),
    "no key": (401, {"error": {"message": "Invalid API Key", "code": 401}}),
}
PAGES = {
    "html 502": (502, b"<html>502 Bad Gateway nginx/1.22.1</html>", "text/html"),
    "garbage": (200, b"<html>Please log in</html>\n" * 3, "text/html"),
    "empty": (200, b"", "text/event-stream"),
}
FAULTS = (
    *REFUSALS, *PAGES, "hang", "hang midstream", "slow", "drip", "midstream error", "cut", "no finish", "reset", "flood", "redirect", "vanished",
)


class OpenAIWire:
    """`answering` is how many answers are being written now; `word_seconds` is how long each word takes.

    `requests` are the bodies it got, `heads` their headers.
    """

    def __init__(self) -> None:
        self.fault = ""
        self.redirects_to = "http://127.0.0.1:9/"
        self.word_seconds = 0.0
        self.answering = self.most = 0
        self.requests, self.heads = [], []
        self.connections = []
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.wire = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def vanish(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.ended.is_set():
            self.vanish()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    wire: OpenAIWire

    def process_request(self, request, client_address):
        self.wire.connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request, client_address):
        """A client that left is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def wire(self) -> OpenAIWire:
        return self.server.wire

    def log_message(self, *_):
        """Says nothing."""

    def do_GET(self):
        if self.wire.fault == "html 502":
            self._say(*PAGES["html 502"])
        else:
            self._json(200, {"data": [{"id": NAME}]} if self.path == "/v1/models" else {"version": "0.1"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.wire.lock:
            self.wire.requests.append(body)
            self.wire.heads.append({name.lower(): value for name, value in self.headers.items()})
            self.wire.answering += 1
            self.wire.most = max(self.wire.most, self.wire.answering)
        try:
            self._answer(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with self.wire.lock:
                self.wire.answering -= 1

    def _answer(self, body):
        fault = self.wire.fault
        if fault in REFUSALS:
            self._json(*REFUSALS[fault])
        elif fault in PAGES:
            self._say(*PAGES[fault])
        elif fault == "hang":
            self._hang()
        elif fault == "redirect":
            self.send_response(302)
            self.send_header("Location", self.wire.redirects_to)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif fault == "reset":
            self._break_off()
        elif self.path == "/v1/embeddings":
            self._embed(body)
        else:
            self._stream()

    def _embed(self, body):
        match self.wire.fault:
            case "slow" | "hang midstream" | "drip":
                self._hang()
            case "midstream error":
                self._json(500, {"error": {"message": "CUDA error at /usr/lib/x", "code": 500}})
            case "cut" | "no finish":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"data": [')
                self._break_off()
            case "flood":
                self.send_response(200)
                self.send_header("Connection", "close")
                self.end_headers()
                while not self._left():
                    self.wfile.write(b"1," * 30_000)
            case _:
                self._json(200, {"data": [{"index": number, "embedding": [1.0, float(number)]} for number, _ in enumerate(body["input"])]})

    def _stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.wire.fault == "flood":
            while not self._left():
                self._chunk(b'data: {"choices":[{"delta":{"content":"' + b"x" * 60_000)
        for number, word in enumerate(WORDS):
            self._wait(self.wire.word_seconds or (0.4 if self.wire.fault == "slow" else 0))
            if number == 3 and self._spoils():
                return
            self._event({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        if self.wire.fault != "no finish":
            self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self._event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": len(WORDS)}})
            self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _spoils(self):
        match self.wire.fault:
            case "hang midstream":
                self._hang()
            case "drip":
                while not self._left() and not self.wire.ended.wait(0.05):
                    self._chunk(b": ping\n\n")
            case "midstream error":
                self._event({"error": {"code": 500, "message": "CUDA error at /usr/lib/x", "type": "server_error"}})
                self._chunk(b"")
            case "cut":
                self._break_off()
            case _:
                return False
        return True

    def _wait(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.wire.ended.wait(0.02):
            if self._left():
                raise ConnectionResetError

    def _hang(self):
        while not self._left() and not self.wire.ended.wait(0.02):
            pass
        self.close_connection = True

    def _left(self):
        """Whether the client has closed its connection."""
        readable = select.select([self.connection], [], [], 0)[0]
        return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""

    def _break_off(self):
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _event(self, value):
        self._chunk(b"data: " + json.dumps(value).encode() + b"\n\n")

    def _chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _json(self, status, value):
        self._say(status, json.dumps(value).encode(), "application/json")

    def _say(self, status, body, content_type):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
