"""A tunnel or proxy before the gateway, and what such ones do to requests and answers."""

from __future__ import annotations

import http.client
import threading
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Meddling:
    """It forwards to `gateway`, a port on loopback. `instead(handler)` answers in the gateway's place, or returns False. `headers(path, list)`
    changes those of an answer. `buffers`: keeps an answer until it is whole. `tells_address`: for whom it says that it forwards."""

    def __init__(self, scheme, port):
        self.url = f"{scheme}://localhost:{port}"
        self.gateway = None
        self.behave()

    def behave(self):
        self.instead = lambda _handler: False
        self.headers = lambda _path, headers: headers
        self.buffers, self.tells_address = False, "198.51.100.7"


def page(status, html, **headers):
    """An HTML page on the paths that begin with `on`, all of them by default."""
    on = headers.pop("on", "/")

    def instead(handler):
        if not handler.path.startswith(on):
            return False
        send(handler, status, [("Content-Type", "text/html"), *((name.replace("_", "-"), value) for name, value in headers.items())], html.encode())
        return True

    return instead


def redirect(target):
    def instead(handler):
        send(handler, 301, [("Location", target(handler) if callable(target) else target)], b"")
        return True

    return instead


def send(handler, status, headers, body):
    handler.send_response_only(status)
    for name, value in [*headers, ("Content-Length", str(len(body)))]:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


class Handler(BaseHTTPRequestHandler):
    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.server.proxy.instead(self):
            self.forward(self.server.proxy, body)
        self.close_connection = True

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.handle_any
        raise AttributeError(name)

    def forward(self, proxy, body):
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        if proxy.tells_address:
            headers["X-Forwarded-For"] = proxy.tells_address
        with closing(http.client.HTTPConnection("127.0.0.1", proxy.gateway, timeout=30)) as upstream:
            upstream.request(self.command, self.path, body, headers)
            with upstream.getresponse() as answer:
                self.pass_on(proxy, answer)

    def pass_on(self, proxy, answer):
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in ("transfer-encoding", "connection")]
        collected = answer.read() if proxy.buffers else b""
        self.send_response_only(answer.status)
        for name, value in proxy.headers(self.path, kept):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(collected)
        while more := answer.read1(65536):
            self.wfile.write(more)

    def handle(self):
        with suppress(OSError, http.client.HTTPException):
            super().handle()

    def finish(self):
        with suppress(OSError):
            super().finish()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    context = proxy = None

    def get_request(self):
        connection, address = super().get_request()
        connection.settimeout(30)
        if self.context:
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, *_):
        pass


@contextmanager
def meddling_proxy(context=None):
    """Over TLS when there is a context."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.context = context
        server.proxy = proxy = Meddling("https" if context else "http", server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield proxy
        server.shutdown()
        thread.join()
