"""A whole gateway in this process, and those who talk to it: a client, a browser, a person.

The fixtures that make them are in tests/gateway_fixtures.py.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from config.settings import Settings
from mcp_server.app import create_app
from mcp_server.llm.ports import Answer, ModelStatus
from mcp_server.oauth.credentials import new_id
from mcp_server.oauth.models import Client, User

HOST = "mcp.acme.test"
ISSUER = f"https://{HOST}"
INSTANCE = "https://dev12345.service-now.com"
REDIRECT_URI = f"{INSTANCE}/oauth_redirect.do"
JWT_SECRET = "jS9-unit-0f4c1d2e7a8b9c6d5e3f-QwErTyUi"
OTHER_JWT_SECRET = "kT8-unit-9b8c7d6e5f4a3b2c1d0e-ZxCvBnMa"
DCR_TOKEN = "dcr-unit-5e2f8a1b7c9d4e6f3a0b-PlMkOnJi"
API_KEY = "api-unit-7c3d9e1f5a2b8c4d"
USERNAME, PASSWORD = "ada", "correct horse battery staple"
VERIFIER = "verifier-0123456789-abcdefghijklmnopqrstuvwxyz"
BOTH_SCOPES = "tools:read tools:execute"
FORM = "application/x-www-form-urlencoded"

ENVIRON = {
    "OAUTH_ISSUER": ISSUER, "JWT_SECRET": JWT_SECRET, "DCR_AUTH_TOKEN": DCR_TOKEN, "MCP_API_KEY": API_KEY,
    "SERVICENOW_INSTANCE": INSTANCE, "RATE_LIMIT_OAUTH_MAX": "0", "RATE_LIMIT_MCP_MAX": "0", "LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG",
}


both_back_ends = pytest.mark.parametrize("back_end", ["sqlite", "redis"], indirect=True)
"""For a test that is about state: run it on both."""


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def query_of(url: str) -> dict[str, str]:
    """The parameters of a redirect; each must be there once."""
    found = parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values()), url
    return {name: values[0] for name, values in found.items()}


def basic(client_id: str, client_secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()}


def without_nones(changed):
    return {name: value for name, value in changed.items() if value is not None}


class SettableClock:
    """The time of a test. Begins now, because the stores ask the machine how long to keep a thing."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class NoModel:
    """A model that is there, and says the same to everybody."""

    available = True

    def answer(self, *_, **__):
        return Answer("{}", "tiny", complete=True)

    def label_probabilities(self, *_):
        return None

    def status(self, _):
        return ModelStatus("embedded", self.available, "tiny", ("tiny",))


@dataclass(frozen=True)
class ClientApplication:
    """A registered client, and what it sends."""

    client_id: str
    client_secret: str | None = None
    redirect_uri: str = REDIRECT_URI

    @property
    def proof(self) -> dict[str, str]:
        """What authenticates it in a form."""
        return {"client_id": self.client_id} | ({"client_secret": self.client_secret} if self.client_secret else {})

    @property
    def basic(self) -> dict[str, str]:
        return basic(self.client_id, self.client_secret or "")

    def asks(self, **changes) -> dict[str, str]:
        """An authorization request that succeeds; None takes a parameter away."""
        return without_nones({
            "response_type": "code", "client_id": self.client_id, "redirect_uri": self.redirect_uri, "state": "st4te",
            "scope": BOTH_SCOPES, "code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"} | changes)

    def redeems(self, code: str, /, **changes) -> dict[str, str]:
        """A token request that succeeds, for this code."""
        return without_nones({
            "grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect_uri, "code_verifier": VERIFIER} | self.proof | changes)

    def refreshes(self, refresh_token: str, /, **changes) -> dict[str, str]:
        return without_nones({"grant_type": "refresh_token", "refresh_token": refresh_token} | self.proof | changes)


class Gateway:
    """The application, and requests to it that carry no cookies."""

    def __init__(self, environ, clock, model, fetch=None, **replaced) -> None:
        self.settings = Settings.from_environ(environ)
        self.clock, self.model = clock, model
        self.app = create_app(self.settings, clock=clock, model=model, password_cost=4, fetch=fetch, **replaced)
        self.services = self.app.extensions["services"]
        self.http = self.app.test_client(use_cookies=False)

    def send(self, method, path, **kwargs):
        return self.http.open(path, **{"method": method, "base_url": ISSUER, "buffered": True, **kwargs})

    def get(self, path, **kwargs):
        return self.send("GET", path, **kwargs)

    def post(self, path, **kwargs):
        return self.send("POST", path, **kwargs)

    def authorize(self, request, **kwargs):
        return self.get("/oauth/authorize", query_string=request, **kwargs)

    def token(self, form, **kwargs):
        return self.post("/oauth/token", data=form, **kwargs)

    def revoke(self, form, **kwargs):
        return self.post("/oauth/revoke", data=form, **kwargs)

    def mcp(self, message="tools/list", token=None, headers=None, **kwargs):
        """A message, or the request for a method; `token` as bearer."""
        body = {"jsonrpc": "2.0", "id": 1, "method": message} if isinstance(message, str) else message
        given = ({"Authorization": f"Bearer {token}"} if token is not None else {}) | (headers or {})
        return self.post(kwargs.pop("path", "/mcp"), **{"json": body, "headers": given, **kwargs})

    def opens(self, token) -> bool:
        """Whether the access token opens /mcp. Anything but 200 and a challenge is a failure."""
        response = self.mcp(token=token)
        assert response.status_code in (200, 401), response.text
        return response.status_code == 200

    def register(self, **changes) -> ClientApplication:
        response = self.post("/oauth/register", json=registration_body(**changes), headers={"Authorization": f"Bearer {DCR_TOKEN}"})
        assert response.status_code == 201, response.text
        return ClientApplication(response.json["client_id"], response.json.get("client_secret"), *response.json["redirect_uris"][:1])

    def add_client(self, secret: str | None = None, **changes) -> ClientApplication:
        """A client as an operator creates it."""
        client = Client(
            client_id=new_id(), client_name="Operator's", redirect_uris=(REDIRECT_URI,), grant_types=("authorization_code", "refresh_token"),
            response_types=("code",), token_endpoint_auth_method="client_secret_post" if secret else "none", created_at=self.clock(),
            client_secret_digests=(self.services.digests.digest("client", secret),) if secret else ())
        client = replace(client, **changes)
        self.services.clients.add(client)
        return ClientApplication(client.client_id, secret, client.redirect_uris[0] if client.redirect_uris else "")

    def add_user(self, username=USERNAME, password=PASSWORD, **changes) -> User:
        user = User(new_id(), username, self.services.passwords.hash(password), self.clock(), **changes)
        self.services.users.add(user)
        return user

    def code(self, client, **changes) -> str:
        """A code that a person approved."""
        return query_of(Browser(self).approve(client.asks(**changes)))["code"]

    def tokens(self, client, **changes) -> dict[str, str]:
        """Of a whole flow with this client."""
        response = self.token(client.redeems(self.code(client, **changes)))
        assert response.status_code == 200, response.text
        return response.json

    def refresh(self, client, refresh_token, /, **changes):
        return self.token(client.refreshes(refresh_token, **changes))


class Browser:
    """Keeps cookies, reads forms, and belongs to one person."""

    def __init__(self, gateway: Gateway, username=USERNAME, password=PASSWORD) -> None:
        self.http = gateway.app.test_client()
        self.username, self.password = username, password

    def get(self, path, **kwargs):
        return self.http.get(path, base_url=ISSUER, headers={"Accept": "text/html", **kwargs.pop("headers", {})}, **kwargs)

    def post(self, path, form, **kwargs):
        return self.http.post(path, base_url=ISSUER, data=form, headers={"Accept": "text/html", **kwargs.pop("headers", {})}, **kwargs)

    @property
    def cookie(self) -> str | None:
        found = self.http.get_cookie("__Host-session", domain=HOST)
        return found.value if found else None

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.http.set_cookie("__Host-session", value, domain=HOST)

    def sign_in(self, page=None, **changes):
        """Fill in the sign-in form of `page`."""
        fields = hidden_fields(page or self.get("/login"))
        return self.post("/login", without_nones(fields | {"username": self.username, "password": self.password} | changes))

    def consent_page(self, request, path="/oauth/authorize"):
        """The page that asks for approval, after signing in where that is needed."""
        page = self.get(path, query_string=request)
        if page.status_code == 302 and urlsplit(page.location).path == "/login":
            after = self.sign_in(self.get(page.location))
            assert after.status_code == 303, after.text
            page = self.get(after.location)
        return page

    def decide(self, page, decision="approve", headers=None, **changes):
        assert page.status_code == 200, page.text
        return self.post("/oauth/authorize", without_nones(hidden_fields(page) | {"decision": decision} | changes), headers=headers or {})

    def approve(self, request) -> str:
        """Where the browser is sent in the end."""
        response = self.decide(self.consent_page(request))
        assert response.status_code == 303, response.text
        return response.location


def hidden_fields(page) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
    assert found, page.text
    return {name: html.unescape(value) for name, value in found}


def encoded(form) -> bytes:
    return urlencode(form).encode()


def registration_body(**changes):
    """ServiceNow's body, as its documentation prints it."""
    return without_nones({
        "client_uri": INSTANCE, "grant_types": ["authorization_code", "refresh_token"], "redirect_uris": [REDIRECT_URI],
        "client_name": "AutoGen-1775150937195-OAuthProvider", "response_types": ["code"]} | changes)


@contextmanager
def canary():
    """A web server that nobody should ask: its URL, and the paths that were asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
