"""A stand-in for Ollama, because no package index has Ollama itself: its API in front of a real llama.cpp engine.

Statuses, messages and order follow Ollama's server/routes.go and server/sched.go of 2026-08. Answers, token counts, a context
that is too small and the schema are the engine's. `/api/version` says that this is a stand-in. It can also fail as real ones
do, on demand: set `fault`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

VERSION = "0.0.0-stand-in"
BUSY = "server busy, please try again.  maximum pending requests exceeded"
FAULTS = (
    "hang", "hang midstream", "slow", "drip", "midstream error", "cut", "no done", "garbage", "html 502", "busy 503", "not found", "reset", "flood",
    "redirect",
)


class OllamaWire:
    """`fault` is one of FAULTS or empty. `load_seconds` is how long a model that is not loaded takes. `requests` are the bodies it got.

    `pause`: seconds before each token of an answer that is slow.
    """

    def __init__(self, engine: Any, model: str) -> None:
        self.engine = engine
        self.models: dict[str, dict[str, Any]] = {
            "vectors:latest": {"capabilities": ["embedding"], "details": {"family": "bert"}},
            "far-vectors:latest": {"capabilities": ["embedding"], "remote_host": "https://ollama.com:443", "remote_model": "far"},
            "far:latest": {"capabilities": ["completion"], "remote_host": "https://ollama.com:443", "remote_model": "far"},
            model: {"capabilities": ["completion"]},
        }
        self.fault = ""
        self.pause = 0.24
        self.digest = "0" * 64
        self.context_length = 4096
        self.lists_capabilities = True  # older versions tell them, and remote_host, in /api/show alone
        self.load_seconds = 0.0
        self.loaded: set[str] = set()
        self.loading: set[str] = set()
        self.requests: list[dict[str, Any]] = []
        self.answering = 0
        self.answers_to = 0  # the port of the one who asked last
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.wire = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    wire: OllamaWire

    def handle_error(self, request, client_address):
        """A client that left is no error here."""


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def wire(self) -> OllamaWire:
        return self.server.wire

    def log_message(self, *_):
        """Says nothing."""

    def do_GET(self):
        models = [_listed(name, facts if self.wire.lists_capabilities else {}, self.wire.digest) for name, facts in self.wire.models.items()]
        running = [{**model, "context_length": self.wire.context_length} for model in models if model["name"] in self.wire.loaded | self.wire.loading]
        known = {
            "/api/version": {"version": VERSION},
            "/api/tags": {"models": models},
            "/api/ps": {"models": running},
        }
        if self.wire.fault == "html 502":
            self._html(502)
        elif self.path in known:
            self._json(200, known[self.path])
        else:
            self._text(404, b"404 page not found", "text/plain")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked_for = body["model"]
        try:
            if self.path == "/api/show":
                self._json(200, {"details": {}, **self._model(body["model"])})
            elif self.path == "/api/chat":
                self._chat(body)
            elif self.path == "/api/embed":
                self._embed(body)
            else:
                self._text(404, b"404 page not found", "text/plain")
        except _Refused as refused:
            self._json(refused.status, {"error": str(refused)})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _chat(self, body):
        self.wire.requests.append(body)
        facts = self._model(body["model"])
        if "completion" not in facts["capabilities"]:
            raise _Refused(400, f'"{body["model"]}" does not support chat')
        if not self._load(body["model"]):
            self.close_connection = True
            return
        if not body["messages"]:
            self._json(200, {"model": body["model"], "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "load"})
            return
        with self._counted():
            if self._fails_at_once():
                return
            if body["stream"]:
                self._answer(body)
            else:
                self._answer_whole(body)

    def _embed(self, body):
        """Ollama cuts what is too long unless it is told not to, and tells its engine's refusal in its own words."""
        self.wire.requests.append(body)
        self._model(body["model"])
        with self._counted():
            if self._fails_at_once():
                return
            status, told = self._engines(self.wire.engine.embedding_url, "/v1/embeddings", {"model": body["model"], "input": body["input"]})
            if status == 500 and "too large" in told["error"]["message"]:
                assert body["truncate"] is False
                raise _Refused(400, "the input length exceeds the context length")
            if status != 200:
                raise _Refused(status, json.dumps(told))
            self._json(200, {"model": body["model"], "embeddings": [entry["embedding"] for entry in told["data"]], "total_duration": 1})

    def _answer_whole(self, body):
        request = {**self._asked(body), "stream": False}
        del request["stream_options"]
        if body.get("logprobs"):
            request |= {"logprobs": True, "top_logprobs": body["top_logprobs"]}
        status, told = self._engines(self.wire.engine.url, "/v1/chat/completions", request)
        if status != 200:
            raise _Refused(status, json.dumps(told))
        choice = told["choices"][0]
        part = _part(body["model"], {"choices": [{**choice, "delta": choice["message"]}], "usage": told["usage"]})
        self._json(200, {**part, "logprobs": (told["choices"][0].get("logprobs") or {}).get("content")})

    def _engines(self, url, path, request):
        """The engine's status and JSON."""
        engine = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        with contextlib.closing(engine):
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.wire.engine.api_key}"}
            engine.request("POST", path, json.dumps(request), headers)
            response = engine.getresponse()
            return response.status, json.loads(response.read())

    @contextlib.contextmanager
    def _counted(self):
        with self.wire.lock:
            self.wire.answering += 1
            self.wire.answers_to = self.client_address[1]
        try:
            yield
        finally:
            with self.wire.lock:
                self.wire.answering -= 1

    def _model(self, name):
        try:
            return self.wire.models[name if ":" in name else f"{name}:latest"]
        except KeyError:
            raise _Refused(404, f"model '{name}' not found") from None

    def _load(self, name):
        """Wait until the model is loaded; a load ends when the one who asked for it leaves."""
        if name in self.wire.loaded:
            return True
        self.wire.loading.add(name)
        try:
            for _ in range(int(self.wire.load_seconds / 0.02)):
                if self._left() or self.wire.ended.wait(0.02):
                    return False
        finally:
            self.wire.loading.discard(name)
        self.wire.loaded.add(name)
        return True

    def _left(self):
        """Whether the client has closed its connection."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        return bool(poll.poll(0)) and self.connection.recv(1, socket.MSG_PEEK) == b""

    def _fails_at_once(self):
        match self.wire.fault:
            case "hang":
                self._hang()
            case "html 502":
                self._html(502)
            case "busy 503":
                raise _Refused(503, BUSY)
            case "not found":
                raise _Refused(404, f"model '{self.asked_for}' not found")
            case "garbage":
                self._text(200, b"<html>Please log in</html>\n" * 3, "text/html")
            case "redirect":
                self.send_response(302)
                self.send_header("Location", "http://127.0.0.1:9/")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "reset":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            case "flood":
                self._start()
                while True:
                    self._chunk(b'{"message":{"content":"' + b"x" * 60_000)
            case _:
                return False
        return True

    def _hang(self):
        while not self._left() and not self.wire.ended.wait(0.02):
            pass
        self.close_connection = True

    def _answer(self, body):
        """Ollama's lines from the engine's events. Closing the engine's connection stops its slot."""
        events = self._events(body)
        first = next(events)  # a refusal still has its own status
        self._start()
        with contextlib.closing(events):
            for count, event in enumerate(_all(first, events)):
                if self._spoils(count):
                    return
                self._line(_part(body["model"], event))
        self._chunk(b"")

    def _spoils(self, count):
        """Whether the fault ends the answer here, after some tokens."""
        if self.wire.fault in {"slow", "hang midstream"}:
            for _ in range(round(self.wire.pause / 0.02)):
                self.wire.ended.wait(0.02)
                if self._left():
                    raise ConnectionResetError
        fault = self.wire.fault if count >= 3 else ""
        if fault == "drip":
            while not self._left() and not self.wire.ended.wait(0.05):
                self._chunk(b" ")
            return True
        if fault == "hang midstream":
            self._hang()
            return True
        if fault == "midstream error":
            self._line({"error": "an error was encountered while running the model: CUDA error at /usr/lib/ollama"})
            self._chunk(b"")
            return True
        if fault == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return True
        if fault == "no done":
            self._chunk(b"")
            return True
        return False

    def _asked(self, body) -> dict[str, Any]:
        """The engine's request for Ollama's."""
        options = body.get("options") or {}
        request = {"model": body["model"], "messages": body["messages"], "stream": True, "stream_options": {"include_usage": True}}
        request |= {"max_tokens": options.get("num_predict", -1), "temperature": options.get("temperature", 0.8), "seed": options.get("seed", -1)}
        if isinstance(body.get("format"), dict):
            request["response_format"] = {"type": "json_schema", "json_schema": {"name": "s", "schema": body["format"]}}
        return request

    def _events(self, body) -> Iterator[dict[str, Any]]:
        request = self._asked(body)
        engine = http.client.HTTPConnection(urlsplit(self.wire.engine.url).netloc, timeout=60)
        try:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.wire.engine.api_key}"}
            engine.request("POST", "/v1/chat/completions", json.dumps(request), headers)
            response = engine.getresponse()
            if response.status != 200:
                raise _Refused(response.status, response.read().decode())  # Ollama hands its engine's body on as a string
            for line in response:
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])
            response.close()
        finally:
            engine.close()

    def _start(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _line(self, value):
        self._chunk(json.dumps(value, ensure_ascii=False).encode() + b"\n")

    def _chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _json(self, status, value):
        self._text(status, json.dumps(value).encode(), "application/json; charset=utf-8")

    def _html(self, status):
        self._text(status, b"<html><body>502 Bad Gateway nginx/1.22.1</body></html>", "text/html")

    def _text(self, status, body, content_type):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _listed(name, facts, digest):
    return {"name": name, "model": name, "size": 500_000, "digest": digest, "details": {"family": "llama"}, **facts}


def _all(first, others):
    """The events, the last two as one: the one that ends the text, with the one that counts."""
    waiting = first
    for event in others:
        if event["choices"]:
            yield waiting
            waiting = event
        else:
            waiting = {**waiting, "usage": event["usage"]}
    yield waiting


def _part(model, event):
    choice = event["choices"][0]
    part = {"model": model, "created_at": "2026-11-21T00:00:00Z", "message": {"role": "assistant", "content": choice["delta"].get("content") or ""}}
    if choice["finish_reason"] is None:
        return {**part, "done": False}
    counts = {"prompt_eval_count": event["usage"]["prompt_tokens"], "eval_count": event["usage"]["completion_tokens"]}
    return {**part, "done": True, "done_reason": "length" if choice["finish_reason"] == "length" else "stop", "load_duration": 1_000_000, **counts}
