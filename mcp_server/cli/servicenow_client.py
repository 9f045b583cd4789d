"""ServiceNow's MCP client, as far as its requests are known: the same bodies, in the same order.

One method a step. Each returns what there is to say, or raises StepFailed or NotReached. What a step learns, the next ones use.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from mcp_server.cli import explanations
from mcp_server.cli.browser import Answer, Form, Http, Page
from mcp_server.cli.explanations import StepFailed, classification, expect
from mcp_server.clock import Clock
from mcp_server.oauth.redirect_uris import LOOPBACK
from mcp_server.web.form_values import SERVICENOW_PATHS, scopes_typed

BOTH = {"Accept": "application/json, text/event-stream"}
INITIALIZE = {"protocolVersion": "2025-06-18", "clientInfo": {"version": "1.0.0", "name": "Servicenow"}, "capabilities": {}}
LOOPBACK_INSTANCE = "http://127.0.0.1"
MOST_PAGES = 8
REDIRECTS = (301, 302, 303, 307, 308)

Credentials = Callable[[str], tuple[str, str]]
"""The user name and the password to sign in with, given the client id that is to be approved. Raises StepFailed."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What an admin has typed. `base` is the origin to call; `instance` None: none is configured."""

    base: str
    registration_token: str | None
    instance: str | None
    tool: str
    arguments: Mapping[str, str]


class ServiceNowClient:
    def __init__(self, setup: Setup, http: Http, credentials: Credentials, clock: Clock) -> None:
        self._setup = setup
        self._http = http
        self._credentials = credentials
        self._clock = clock
        self._verifier = secrets.token_urlsafe(48)
        self._state = secrets.token_urlsafe(16)
        self._metadata_url = ""
        self._metadata: dict[str, Any] = {}
        self._issuer = ""
        self._secret = ""
        self._code = ""
        self._tokens: dict[str, Any] = {}
        self._requests = 0
        self._session: dict[str, str] = {}
        self._tools: list[str] = []
        self.client_id: str | None = None
        self.exchanges: list[Answer] = []
        self.remarks: list[str] = []

    # Discovery

    def challenge(self) -> str:
        answer = expect(self._rpc("initialize", INITIALIZE, token=None), 401, otherwise={200: explanations.OPEN_INITIALIZE})
        named = re.search(r'resource_metadata="([^"]+)"', answer.headers.get("WWW-Authenticate", ""))
        if named is None:
            raise StepFailed("The 401 has no WWW-Authenticate header that names resource_metadata.",
                             "A proxy may have removed it; it must pass WWW-Authenticate on.")
        self._metadata_url = named[1]
        return f"the challenge names {named[1]}"

    def resource_metadata(self) -> str:
        found = self._get(self._metadata_url)
        servers = found.get("authorization_servers")
        if not isinstance(servers, list) or not servers or not found.get("resource"):
            raise StepFailed(f"{self._metadata_url} names no resource or no authorization server.", explanations.OTHER_ISSUER)
        self._issuer = str(servers[0])
        return f"{found['resource']} is opened by tokens of {self._issuer}"

    def server_metadata(self) -> str:
        url = f"{self._issuer}/.well-known/oauth-authorization-server"
        self._metadata = self._get(url)
        if self._metadata.get("issuer") != self._issuer:
            raise StepFailed(f"{url} says that its issuer is {self._metadata.get('issuer')}.", explanations.OTHER_ISSUER)
        if self._issuer != self._setup.base:
            self.remarks.append(f"The issuer is {self._issuer}; it was called at {self._setup.base}. ServiceNow must be given {self._issuer}/mcp.")
        return f"issuer {self._issuer}"

    # OAuth

    def register(self) -> str:
        if "registration_endpoint" not in self._metadata:
            raise StepFailed("The metadata names no registration endpoint.", explanations.REGISTRATION_OFF)
        instance = self._setup.instance or LOOPBACK_INSTANCE
        body = {
            "client_uri": instance, "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": [instance + path for path in SERVICENOW_PATHS],
            "client_name": f"AutoGen-{int(self._clock() * 1000)}-OAuthProvider", "response_types": ["code"],
        }
        headers = {"Authorization": f"Bearer {self._setup.registration_token}"} if self._setup.registration_token else {}
        answer = expect(self._saw(self._http.post_json(self._here(self._metadata["registration_endpoint"]), body, headers)), 201, otherwise={
            401: explanations.REGISTRATION_REFUSED, 403: explanations.REGISTRATION_OFF,
            400: "Add the instance to SERVICENOW_INSTANCE, or its host to DCR_ALLOWED_REDIRECT_HOSTS, and reload the server."})
        registered = answer.object()
        self.client_id, self._secret = str(registered.get("client_id")), str(registered.get("client_secret") or "")
        if self._setup.instance is None:
            self.remarks.append(f"No instance is configured (SERVICENOW_INSTANCE), so the redirect URIs are {LOOPBACK_INSTANCE}/….")
        return f"client {self.client_id}, by ServiceNow's own body"

    def authorize(self) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self._verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode({
            "response_type": "code", "client_id": self.client_id or "", "redirect_uri": self._redirect_uri, "state": self._state,
            "scope": scopes_typed(), "code_challenge": challenge, "code_challenge_method": "S256"})
        location = self._approved(f"{self._here(self._metadata['authorization_endpoint'])}?{query}")
        answered = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        if "error" in answered:
            raise StepFailed(f"The answer is {answered['error']}: {answered.get('error_description', '')}", "The text says what to change.")
        if answered.get("state") != self._state or answered.get("iss") != self._issuer or "code" not in answered:
            raise StepFailed(f"The redirect lacks a code, or its state or iss is wrong: it has {', '.join(sorted(answered))}.",
                             explanations.OTHER_ISSUER)
        self._code = answered["code"]
        return f"a code came to {self._redirect_uri}, with state and iss right"

    def token(self) -> str:
        form = {"grant_type": "authorization_code", "code": self._code, "redirect_uri": self._redirect_uri, "client_id": self.client_id or "",
                "client_secret": self._secret, "code_verifier": self._verifier}
        self._tokens = expect(self._saw(self._http.post_form(self._here(self._metadata["token_endpoint"]), form)), 200).object()
        if not self._tokens.get("refresh_token"):
            raise StepFailed("There is no refresh token in the answer.", explanations.NO_REFRESH)
        return f"an access token for {self._tokens.get('expires_in')} s and a refresh token; client_secret_post"

    def refresh(self) -> str:
        form = {"grant_type": "refresh_token", "refresh_token": self._tokens["refresh_token"]}
        fresh = expect(self._saw(self._http.post_form(self._here(self._metadata["token_endpoint"]), form, self._basic())), 200).object()
        self._tokens = {**self._tokens, **fresh}
        return "a new pair of tokens; client_secret_basic"

    def revoke(self) -> str:
        """The refresh token ends the whole approval, so that nothing of this try-out stays behind on a server that is not ours."""
        url = self._here(self._metadata["revocation_endpoint"])
        for kind in ("access_token", "refresh_token"):
            form = {"token": self._tokens[kind], "token_type_hint": kind}
            expect(self._saw(self._http.post_form(url, form, self._basic())), 200)
        return "the access token, then the approval with its refresh token"

    # MCP

    def initialize(self) -> str:
        result, answer = self._result("initialize", INITIALIZE)
        if result.get("protocolVersion") != INITIALIZE["protocolVersion"]:
            raise StepFailed(f"The server answers protocol version {result.get('protocolVersion')}: ServiceNow would log "
                             "'MCP Protocol not supported version' and stop.", "Update the server.")
        if session := answer.headers.get("Mcp-Session-Id"):
            self._session = {"Mcp-Session-Id": session}
        server = result.get("serverInfo", {})
        return f"{server.get('name')} {server.get('version')}, protocol {result['protocolVersion']}"

    def initialized(self) -> str:
        answer = expect(self._rpc("notifications/initialized", None, token=self._tokens["access_token"], notification=True), 202)
        if answer.body.strip():
            raise StepFailed("A notification was answered with a body.", "Update the server.")
        return "accepted without a body"

    def list_tools(self) -> str:
        result, _ = self._result("tools/list", {})
        self._tools = [str(tool.get("name")) for tool in result.get("tools", [])]
        if self._setup.tool not in self._tools:
            raise StepFailed(f"There is no tool {self._setup.tool}; the server has: {', '.join(self._tools)}.", "Give one of these with --tool.")
        return f"{len(self._tools)} tools: {', '.join(self._tools)}"

    def call_tools(self) -> str:
        text = self._called(self._setup.tool, self._setup.arguments)
        said = f"{self._setup.tool}: {classification(text)}"
        if "echo" in self._tools:
            sent = "It's 3 o'clock, änd <all> is well."
            if self._called("echo", {"message": sent}) != sent:
                raise StepFailed("echo gave back another text than it was sent.", "A proxy changes the bodies: it must pass them on as they are.")
            said += "; echo: the same text"
        return said

    def new_token_works(self) -> str:
        self._result("tools/list", {})
        return "the new access token opens /mcp"

    def revoked_token_fails(self) -> str:
        answer = self._rpc("tools/list", {}, token=self._tokens["access_token"])
        expect(answer, 401, otherwise={200: explanations.STILL_OPEN})
        return "the revoked token is refused"

    # How it speaks

    @property
    def _redirect_uri(self) -> str:
        return (self._setup.instance or LOOPBACK_INSTANCE) + SERVICENOW_PATHS[0]

    def _saw(self, answer: Answer) -> Answer:
        self.exchanges.append(answer)
        return answer

    def _here(self, url: str) -> str:
        """The same path at the address that is called: a server on this machine may have a public issuer. Raises StepFailed."""
        parts, base = urlsplit(url), self._setup.base
        if f"{parts.scheme}://{parts.netloc}" == base:
            return url
        if urlsplit(base).hostname in LOOPBACK:
            return f"{base}{parts.path}{f'?{parts.query}' if parts.query else ''}"
        raise StepFailed(f"The server was called at {base} and sends its clients to {parts.scheme}://{parts.netloc}.", explanations.OTHER_ISSUER)

    def _get(self, url: str) -> dict[str, Any]:
        found = expect(self._saw(self._http.get(self._here(url))), 200).object()
        if not found:
            raise StepFailed(f"{url} is no JSON object.", "A proxy may answer in the server's place.")
        return found

    def _basic(self) -> dict[str, str]:
        return {"Authorization": f"Basic {base64.b64encode(f'{self.client_id}:{self._secret}'.encode()).decode()}"}

    def _rpc(self, method: str, params: Mapping[str, Any] | None, *, token: str | None, notification: bool = False) -> Answer:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = params
        if not notification:
            self._requests += 1
            message["id"] = self._requests
        headers = {**BOTH, **self._session, **({"Authorization": f"Bearer {token}"} if token else {})}
        return self._saw(self._http.post_json(f"{self._setup.base}/mcp", message, headers))

    def _result(self, method: str, params: Mapping[str, Any]) -> tuple[dict[str, Any], Answer]:
        answer = expect(self._rpc(method, params, token=self._tokens["access_token"]), 200)
        body = answer.object()
        if not isinstance(body.get("result"), dict):
            error = body.get("error") or {}
            raise StepFailed(f"{method} failed: {error.get('message', answer.text[:200])}", "The text says what the server did not accept.")
        return body["result"], answer

    def _called(self, tool: str, arguments: Mapping[str, str]) -> str:
        result, _ = self._result("tools/call", {"name": tool, "arguments": dict(arguments)})
        text = "\n".join(str(block.get("text", "")) for block in result.get("content", []))
        if result.get("isError"):
            raise StepFailed(f"{tool} says: {text}", explanations.TOOL_FAILED)
        return text

    # The person at the browser

    def _approved(self, url: str) -> str:
        """Go from page to page as a person would, to the redirect that carries the answer."""
        answer, signed_in = self._saw(self._http.visit(url)), False
        for _ in range(MOST_PAGES):
            if answer.status in REDIRECTS:
                target = urljoin(answer.url, answer.location)
                if target.partition("?")[0] == self._redirect_uri:
                    return target
                answer = self._saw(self._http.visit(self._here(target)))
                continue
            page = Page(answer.text)
            if (form := page.form_with("username", "password")) is not None:
                if signed_in:
                    raise StepFailed(f"The sign-in was refused: {page.alert.strip()}", explanations.WRONG_SIGN_IN)
                username, password = self._credentials(self.client_id or "")
                answer, signed_in = self._send(answer, form, username=username, password=password), True
            elif (form := _approval(page)) is not None:
                answer = self._send(answer, form, decision="approve")
            else:
                expect(answer)
        raise StepFailed("The pages lead to no answer: too many redirects.", explanations.OTHER_ISSUER)

    def _send(self, answer: Answer, form: Form, **typed: str) -> Answer:
        return self._saw(self._http.visit(self._here(urljoin(answer.url, form.action)), {**form.hidden, **typed}))


def _approval(page: Page) -> Form | None:
    return next((form for form in page.forms if ("decision", "approve") in form.buttons), None)


Step = tuple[str, Callable[[ServiceNowClient], str]]
STEPS: tuple[Step, ...] = (
    ("POST /mcp without a token", ServiceNowClient.challenge),
    ("protected resource metadata", ServiceNowClient.resource_metadata),
    ("authorization server metadata", ServiceNowClient.server_metadata),
    ("registration", ServiceNowClient.register),
    ("sign-in and consent", ServiceNowClient.authorize),
    ("tokens for the code", ServiceNowClient.token),
    ("initialize", ServiceNowClient.initialize),
    ("notifications/initialized", ServiceNowClient.initialized),
    ("tools/list", ServiceNowClient.list_tools),
    ("tools/call", ServiceNowClient.call_tools),
    ("refresh", ServiceNowClient.refresh),
    ("the new token", ServiceNowClient.new_token_works),
    ("revoke", ServiceNowClient.revoke),
    ("the revoked token", ServiceNowClient.revoked_token_fails),
)
