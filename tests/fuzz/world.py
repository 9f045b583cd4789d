"""What the fuzzer mixes in: real clients, codes, tokens, assertions and pages of the gateway under test, and what it knows of them."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl, urlsplit

from mcp_server.oauth.models import DEVICE_CODE
from tests.fuzz.sending import Answer, Draft, Sent, finished, send
from tests.gateway import (
    API_KEY,
    DCR_TOKEN,
    HOST,
    ISSUER,
    JWT_SECRET,
    PASSWORD,
    REDIRECT_URI,
    USERNAME,
    VERIFIER,
    Browser,
    ClientApplication,
    hidden_fields,
    query_of,
    registration_body,
)
from tests.key_clients import KeyClient, add_key_client

SECRET, OTHER_SECRET = "fuzz-client-secret-0123456789abcdef", "fuzz-other-secret-fedcba9876543210"
EVERY_GRANT = ("authorization_code", "refresh_token", "client_credentials")
SECRETS_GIVEN = ("access_token", "refresh_token", "client_secret", "registration_access_token")


class World:
    """One gateway with its clients. `secrets` are all that were ever given: none may turn up where it was not sent or earned."""

    def __init__(self, gateway, log) -> None:
        self.gateway, self._log = gateway, log
        gateway.add_user()
        self.browser = Browser(gateway)
        self.confidential = gateway.add_client(SECRET, grant_types=EVERY_GRANT)
        self.other = gateway.add_client(OTHER_SECRET, grant_types=EVERY_GRANT)
        self.public = gateway.add_client(redirect_uris=("http://127.0.0.1/callback",))
        self.with_keys = add_key_client(gateway)
        self.clients: dict[str, ClientApplication] = {
            client.client_id: client for client in (self.confidential, self.other, self.public, self.with_keys)}
        self.redirect_uris = {client.redirect_uri for client in self.clients.values()}
        self.device = gateway.add_client(redirect_uris=(), grant_types=(DEVICE_CODE, "refresh_token"))
        self.codes: dict[str, str] = {}
        self.refresh_tokens: dict[str, str] = {}
        self.access_tokens: dict[str, str] = {}
        self.assertions: dict[str, str] = {}
        self.managed: dict[str, str] = {}
        self.transactions: set[str] = set()
        self.csrf = ""
        self.secrets: set[str] = {JWT_SECRET, DCR_TOKEN, API_KEY, PASSWORD, SECRET, OTHER_SECRET}
        self.sent = self.answered_well = 0
        self._pool: dict[str, str] = {}

    # --- what a request may be made of ---

    def value(self, kind: str) -> str:
        """A real one of this kind; one of its own each time where a use ends it."""
        return getattr(self, f"a_{kind}")()

    def a_client_id(self):
        return self.confidential.client_id

    def a_client_secret(self):
        return SECRET

    def another_client_secret(self):
        return OTHER_SECRET

    a_other_client_secret = another_client_secret

    def a_code(self, client=None):
        client = client or self.confidential
        code = query_of(self.browser.approve(client.asks()))["code"]
        self.codes[code] = client.client_id
        self.secrets.add(code)
        return code

    def _tokens(self, client=None):
        client = client or self.confidential
        given = self.gateway.token(client.redeems(self.a_code(client))).json
        self.learn(given, client.client_id)
        return given

    def a_refresh_token(self, client=None):
        return self._tokens(client)["refresh_token"]

    def a_access_token(self):
        """The same for a while: the clients' own tokens make up most of the time otherwise."""
        token = self._pool.get("access_token")
        if token is None or not self.gateway.opens(token):
            token = self._pool["access_token"] = self._tokens()["access_token"]
        return token

    def a_dcr_token(self):
        return DCR_TOKEN

    def a_api_key(self):
        return API_KEY

    def a_password(self):
        return PASSWORD

    def a_username(self):
        return USERNAME

    def a_verifier(self):
        return VERIFIER

    def a_redirect_uri(self):
        return REDIRECT_URI

    def a_basic(self):
        return self.confidential.basic["Authorization"]

    def a_bearer(self):
        return f"Bearer {self.a_access_token()}"

    def a_assertion(self):
        assertion = self.with_keys.signer.assertion(self.with_keys.client_id)
        self.assertions[assertion] = self.with_keys.client_id
        self.secrets.add(assertion)
        return assertion

    def a_managed_client(self):
        """The id of a client that registered itself; its token is in `managed`."""
        given = self.gateway.post("/oauth/register", json=registration_body(), headers={"Authorization": f"Bearer {DCR_TOKEN}"}).json
        self.learn(given)
        return given["client_id"]

    def a_registration_access_token(self):
        return self.managed[self.a_managed_client()]

    def a_transaction(self):
        """Of a consent page that the signed-in browser shows; its csrf and cookie belong to it."""
        fields = hidden_fields(self.browser.consent_page(self.confidential.asks()))
        self.csrf = fields["csrf"]
        self.transactions.add(fields["transaction"])
        return fields["transaction"]

    def a_csrf(self):
        if not self.csrf:
            self.a_transaction()
        return self.csrf

    def a_cookie(self):
        return f"__Host-session={self.browser.cookie}"

    def learn(self, given, client_id=None):
        """Remember what an answer gave, so that it is known where it turns up later."""
        self.secrets.update(given[name] for name in SECRETS_GIVEN if isinstance(given.get(name), str))
        if "access_token" in given:
            self.access_tokens[given["access_token"]] = client_id
        if "refresh_token" in given:
            self.refresh_tokens[given["refresh_token"]] = client_id
        if "registration_access_token" in given:
            self.managed[given["client_id"]] = given["registration_access_token"]
            self.redirect_uris.update(given["redirect_uris"])
            self.clients.setdefault(given["client_id"], ClientApplication(given["client_id"], given.get("client_secret")))

    # --- one request ---

    def send(self, draft: Draft) -> tuple[Sent, Answer, str]:
        """What was sent, what was answered, and what was logged meanwhile."""
        sent = finished(draft)
        self._log.seek(0, 2)
        answer = send(self.gateway.app, sent, chunked=draft.chunked)
        self.sent += 1
        self.answered_well += answer.status < 400
        return sent, answer, self._log.read().decode(errors="replace")

    # --- what was earned, by a reading of the tests' own ---

    def proven_client(self, sent: Sent) -> ClientApplication | None:
        """The client that the request proves to come from."""
        form, authorization = form_of(sent), sent.headers.get("Authorization")
        if authorization is not None:
            client_id, _, secret = _decoded(authorization.strip()).partition(":")
            client = self.clients.get(client_id)
            return client if client and secret and client.client_secret == secret else None
        if form.get("client_assertion"):
            return self.clients.get(self.assertions.get(form["client_assertion"], ""))
        client = self.clients.get(form.get("client_id", ""))
        if client is None or isinstance(client, KeyClient):
            return None
        return client if client.client_secret == (form.get("client_secret") or None) else None

    def signed_in(self, sent: Sent) -> bool:
        """Whether the request has the cookie and the csrf token of one page."""
        return bool(self.csrf) and self.browser.cookie in sent.headers.get("Cookie", "") and form_of(sent).get("csrf") == self.csrf


def form_of(sent: Sent) -> dict[str, str]:
    """The parameters of a body that has each of them once; nothing of any other."""
    pairs = [pair for pair in parse_qsl(sent.body.decode("utf-8", "replace"), keep_blank_values=True) if pair[0] not in ("", "resource")]
    return dict(pairs) if len(pairs) == len(dict(pairs)) else {}


def _decoded(authorization: str) -> str:
    scheme, _, encoded = authorization.partition(" ")
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode() if scheme.lower() == "basic" else ""
    except ValueError:
        return ""


def origin_and_path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


__all__ = ["HOST", "ISSUER", "World", "form_of", "origin_and_path"]
