"""The public address, as ServiceNow sees it: every step that it takes without a person, and what may go wrong between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from mcp_server.cli.browser import Answer, Http, NotReached
from mcp_server.cli.checks.answers import not_ours
from mcp_server.cli.checks.finding import Finding
from mcp_server.cli.checks.running import HTTP_SECONDS, METADATA, OK_STATUS, clock_of, judged, release
from mcp_server.cli.checks.streaming import stream
from mcp_server.cli.checks.transport import transport
from mcp_server.cli.servicenow_client import INITIALIZE
from mcp_server.clock import Clock, wall_clock
from mcp_server.oauth.redirect_uris import LOOPBACK
from mcp_server.web.services import Services

UNAUTHORIZED = 401
FOREIGN = "https://foreign.example"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "revocation_endpoint", "registration_endpoint")


@dataclass(frozen=True, slots=True)
class Outside:
    """`built` is None on a machine that has no settings of the gateway."""

    address: str
    http: Http
    built: Services | None

    @property
    def clock(self) -> Clock:
        return self.built.clock if self.built else wall_clock


def public_address(built: Services) -> Iterator[Finding]:
    """Nothing, while the issuer is this machine."""
    if urlsplit(built.settings.issuer).hostname not in LOOPBACK:
        yield from seen_from_outside(built.settings.issuer, built)


def seen_from_outside(address: str, built: Services | None) -> Iterator[Finding]:
    """`address` is an origin. Stops where everything that follows would fail by the same cause."""
    http = Http(read_seconds=HTTP_SECONDS)
    outside = Outside(address, http, built)
    try:
        for look in (_transport, _metadata):
            found = list(look(outside))
            yield from found
            if any(finding.level == "fail" and finding.check != "clock" for finding in found):
                return
        for check, more in MORE.items():
            try:
                yield from more(outside)
            except NotReached as error:
                yield Finding(check, "fail", f"{address} answered before, and does not now: {error}.", "Look at the log of the tunnel or proxy.")
    finally:
        http.close()


def _transport(outside: Outside) -> Iterator[Finding]:
    yield from transport("public address", outside.address, outside.clock)


def _metadata(outside: Outside) -> Iterator[Finding]:
    expected = outside.built.settings.issuer if outside.built else outside.address
    try:
        answer = outside.http.get(outside.address + METADATA)
    except NotReached as error:
        yield Finding("public address", "fail", f"{outside.address} does not answer: {error}.",
                      "Check that the tunnel or proxy runs, and points to HOST:PORT.")
        return
    found = list(judged("public address", outside.address, answer, expected, outside.http))
    yield from found
    yield from clock_of("public address", answer, outside.clock)
    if found[0].level == "ok":
        yield from _endpoints(expected, answer)
        if expected != outside.address:
            yield Finding("public address", "warn", f"{outside.address} was asked; ServiceNow must be given {expected}/mcp.", "")


def _endpoints(issuer: str, answer: Answer) -> Iterator[Finding]:
    metadata = answer.object()
    elsewhere = [name for name in ENDPOINTS if not str(metadata.get(name, issuer + "/")).startswith(issuer + "/")]
    if elsewhere:
        yield Finding("public address", "fail", f"The metadata sends clients elsewhere: {', '.join(elsewhere)}.",
                      "A proxy rewrites bodies: it must pass them on as they are.")


def _resource(outside: Outside) -> Iterator[Finding]:
    answer = outside.http.get(f"{outside.address}/.well-known/oauth-protected-resource/mcp")
    if (wrong := not_ours("resource", answer, outside.http)) is not None:
        yield wrong
    elif answer.status != OK_STATUS or not str(answer.object().get("resource", "")).endswith("/mcp"):
        yield Finding("resource", "fail", f"{answer.url} answers {answer.status}, and names no resource.", "Let the proxy pass /.well-known/* on.")


def _challenge(outside: Outside) -> Iterator[Finding]:
    """The first request of ServiceNow: without a token."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
    answer = outside.http.post_json(f"{outside.address}/mcp", message, {"Accept": "application/json, text/event-stream"})
    if (wrong := not_ours("POST /mcp", answer, outside.http)) is not None:
        yield wrong
    elif answer.status != UNAUTHORIZED:
        yield Finding("POST /mcp", "fail", f"{answer.url} without a token answers {answer.status}, not 401.",
                      "Let the proxy pass POST requests to /mcp on, and see that MCP_OPEN_INITIALIZE is auto.")
    elif "resource_metadata" not in answer.headers.get("WWW-Authenticate", ""):
        yield Finding("POST /mcp", "fail", "The 401 comes without WWW-Authenticate: clients do not learn where to get a token.",
                      "The proxy takes that header out, or answers itself: it must pass WWW-Authenticate on.")
    else:
        yield Finding("POST /mcp", "ok", "asks for a token, and says where to get one")


def _oauth(outside: Outside) -> Iterator[Finding]:
    """A POST of a form and one of JSON, that the gateway refuses in its own words."""
    for check, answer in (
        ("token endpoint", outside.http.post_form(f"{outside.address}/oauth/token", {"grant_type": "none"})),
        ("registration", outside.http.post_json(f"{outside.address}/oauth/register", {})),
    ):
        if (wrong := not_ours(check, answer, outside.http)) is not None:
            yield wrong
        elif "error" not in answer.object():
            yield Finding(check, "fail", f"{answer.url} answers {answer.status}, and not as an OAuth server does.", "Let the proxy pass /oauth/* on.")
        else:
            yield Finding(check, "ok", f"answers as the gateway does ({answer.status})")


def _cors(outside: Outside) -> Iterator[Finding]:
    allowed = outside.built.settings.servicenow_instances[:1] if outside.built else ()
    for origin, ours in ((FOREIGN, False), *((each, True) for each in allowed)):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}
        told = outside.http.request("OPTIONS", f"{outside.address}/mcp", headers=headers).headers.get("Access-Control-Allow-Origin", "")
        if not ours and told in ("*", FOREIGN):
            yield Finding("CORS", "fail", f"Every web page may call /mcp from the browser of a visitor (Access-Control-Allow-Origin: {told}).",
                          "The proxy adds that header: let it add none. ALLOWED_ORIGINS is the gateway's list.")
        elif ours and told != origin:
            yield Finding("CORS", "warn", f"A page of {origin} may not call /mcp: the answer to it has {told or 'no Access-Control-Allow-Origin'}.",
                          "Let the proxy pass OPTIONS requests, and the Access-Control headers of the gateway, on as they are, once each.")


def _metrics(outside: Outside) -> Iterator[Finding]:
    """Over http on loopback nobody else is asked than the machine itself, which may read them."""
    answer = outside.http.get(f"{outside.address}/metrics")
    inside = outside.address.startswith("http://") and urlsplit(outside.address).hostname in LOOPBACK
    if answer.status == OK_STATUS and b"# HELP" in answer.body and not inside:
        yield Finding("metrics", "fail", f"{answer.url} is open to the world.",
                      "Block /metrics at the proxy; and let it send X-Forwarded-For or CF-Connecting-IP: without one, all who come through it look "
                      "like this machine.")


def _release(outside: Outside) -> Iterator[Finding]:
    if outside.built is not None:
        yield from release(outside.address, outside.http)


def _stream(outside: Outside) -> Iterator[Finding]:
    yield from stream(outside.address, outside.http, outside.built)


MORE: dict[str, Callable[[Outside], Iterator[Finding]]] = {
    "resource": _resource, "POST /mcp": _challenge, "token endpoint": _oauth, "stream": _stream, "CORS": _cors, "metrics": _metrics,
    "release": _release,
}
