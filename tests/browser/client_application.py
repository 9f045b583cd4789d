"""A client application that a person uses: its redirect endpoint on a loopback port of its own, and what arrived there."""

from __future__ import annotations

import json
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

from mcp_server.oauth.models import DEVICE_CODE
from tests.gateway import BOTH_SCOPES, FORM, VERIFIER, challenge_of
from tests.running import SECRETS

PAGE = "<!doctype html><html lang=en><meta charset=utf-8><link rel=icon href='data:,'><title>The client</title><h1>{heading}</h1>{body}</html>"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urlsplit(self.path)
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.path.startswith("/callback"):
            self.server.arrived.append(asked)
            self._show("Back in the client")
        elif parts.path == "/frame":
            self._show("A page with a frame", f'<iframe name="inner" width="600" height="600" src="{escape(asked["src"])}"></iframe>')
        elif parts.path == "/post":
            action = escape(asked.pop("action"))
            fields = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in asked.items())
            self._show("A form", f'<form method="post" action="{action}">{fields}<button>Connect</button></form>')
        else:
            self.send_error(404)

    def _show(self, heading, body=""):
        page = PAGE.format(heading=heading, body=body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


class ClientApplication:
    """Registered at the gateway as any client is. `arrived`: the parameters of each redirect that reached it, oldest first."""

    def __init__(self, gateway) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.arrived = []
        self._gateway = gateway
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self.redirect_uri = f"{self.origin}/callback"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.client_id = self.register("The laptop's editor")["client_id"]

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def arrived(self):
        return self._server.arrived

    def register(self, name, path="", **changes):
        metadata = {"client_name": name, "redirect_uris": [self.redirect_uri + path], "token_endpoint_auth_method": "none", **changes}
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {SECRETS['DCR_AUTH_TOKEN']}"}
        status, body = self._gateway.request("POST", "/oauth/register", json.dumps(metadata), headers)
        assert status == 201, body
        return json.loads(body)

    def asks_on_a_device(self):
        """A machine of this client asks for a code: the device authorization response, and how the machine asks again."""
        client_id = self.register("A machine without a screen", redirect_uris=[], grant_types=[DEVICE_CODE])["client_id"]
        answer = self._form("/oauth/device_authorization", client_id=client_id)
        return answer, lambda: self._form("/oauth/token", client_id=client_id, grant_type=DEVICE_CODE, device_code=answer["device_code"])

    def _form(self, path, **fields):
        return json.loads(self._gateway.request("POST", path, urlencode(fields), {"Content-Type": FORM})[1])

    def request(self, **changes):
        return {
            "response_type": "code", "client_id": self.client_id, "redirect_uri": self.redirect_uri, "state": "st4te", "scope": BOTH_SCOPES,
            "code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"} | changes

    def asks(self, **changes):
        """The address that the client opens in the browser."""
        return f"{self._gateway.url}/oauth/authorize?{urlencode(self.request(**changes))}"

    def posts(self):
        """A page of the client whose button sends the same request as a form."""
        return f"{self.origin}/post?{urlencode({'action': self._gateway.url + '/oauth/authorize', **self.request()})}"

    def frames(self, address):
        return f"{self.origin}/frame?{urlencode({'src': address})}"

    def redeems(self, code):
        """The tokens for a code that arrived."""
        form = urlencode({
            "grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect_uri, "code_verifier": VERIFIER,
            "client_id": self.client_id})
        status, body = self._gateway.request("POST", "/oauth/token", form, {"Content-Type": FORM})
        assert status == 200, body
        return json.loads(body)
