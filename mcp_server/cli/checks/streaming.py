"""Whether server-sent events come through as they are sent. A proxy that collects them first makes every stream a silence."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from mcp_server import __version__
from mcp_server.cli.browser import Http, NotReached
from mcp_server.cli.checks.answers import not_ours
from mcp_server.cli.checks.finding import Finding
from mcp_server.cli.command import record
from mcp_server.mcp.eras import META, STATELESS
from mcp_server.oauth.credentials import new_id
from mcp_server.oauth.models import SCOPES
from mcp_server.oauth.redirect_uris import LOOPBACK
from mcp_server.web.services import Services

SECONDS = 5.0
TOKEN_SECONDS = 30
LISTEN = {
    "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
    "params": {"notifications": {"toolsListChanged": True}, "_meta": {
        f"{META}protocolVersion": STATELESS.version, f"{META}clientInfo": {"name": "flask doctor", "version": __version__},
        f"{META}clientCapabilities": {}}},
}
HEADERS = {"MCP-Protocol-Version": STATELESS.version, "Mcp-Method": "subscriptions/listen"}
BUFFERED = ("Switch buffering off for /mcp: nginx proxy_buffering off (or pass X-Accel-Buffering on), Apache flushpackets=on, no compression of "
            "text/event-stream. Cloudflare's quick tunnels (trycloudflare.com) hold streams back: use a named tunnel.")


def stream(address: str, http: Http, built: Services | None) -> Iterator[Finding]:
    """Listens with a token of half a minute, which is made for an address of these settings only, and hangs up at the first event."""
    if built is None or (address != built.settings.issuer and urlsplit(address).hostname not in LOOPBACK):
        yield Finding("stream", "warn", "Not tried: that takes a token, and a token is sent to the server of these settings only.",
                      "Run flask doctor on the gateway's machine, too.")
        return
    token = built.access_tokens.issue(
        client_id="doctor", subject="client:doctor", scope=SCOPES[0], grant_id=new_id(), lifetime=TOKEN_SECONDS)
    record("doctor_token_issued", address=address, expires_in=TOKEN_SECONDS)
    try:
        answer = http.first_event(f"{address}/mcp", LISTEN, {**HEADERS, "Authorization": f"Bearer {token}"}, SECONDS)
    except NotReached:
        yield Finding("stream", "fail", f"A stream was opened, and nothing of it came in {SECONDS:g} s: something between holds it back.", BUFFERED)
        return
    if (wrong := not_ours("stream", answer, http)) is not None:
        yield wrong
    elif not answer.headers.get("Content-Type", "").startswith("text/event-stream") or b"acknowledged" not in answer.body:
        yield Finding("stream", "fail", f"{answer.url} answers {answer.status} to a listener, and not with a stream.",
                      "See what the server's log says of the request id " + answer.headers.get("X-Request-ID", "that it was given") + ".")
    else:
        yield Finding("stream", "ok", f"the first event came after {answer.seconds * 1000:.0f} ms")
