"""The running server, from this machine; and what its metadata and its clock say, wherever it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from config.settings import Settings
from mcp_server import __version__
from mcp_server.cli.browser import Answer, Http, NotReached
from mcp_server.cli.checks.answers import not_ours
from mcp_server.cli.checks.finding import Finding
from mcp_server.clock import Clock, moment
from mcp_server.oauth.tokens import LEEWAY
from mcp_server.web.services import Services

HTTP_SECONDS = 10.0
OK_STATUS = 200
METADATA = "/.well-known/oauth-authorization-server"


def server(built: Services) -> Iterator[Finding]:
    settings = built.settings
    address, http = local_address(settings), Http(read_seconds=HTTP_SECONDS)
    try:
        answer = http.get(address + METADATA)
        yield from judged("server", address, answer, settings.issuer, http)
        yield from clock_of("server", answer, built.clock)
        yield from release(address, http)
    except NotReached as error:
        yield Finding("server", "warn", f"{address} does not answer: {error}.", "Start it: bin/serve, or the service (systemctl start mcp-server).")
    finally:
        http.close()


def local_address(settings: Settings) -> str:
    """Where this machine reaches the server."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 -- the address to call instead
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def judged(check: str, address: str, answer: Answer, expected: str, http: Http) -> Iterator[Finding]:
    """`expected`: the issuer that the metadata must name."""
    if (wrong := not_ours(check, answer, http)) is not None:
        yield wrong
        return
    issuer = answer.object().get("issuer")
    if answer.status != OK_STATUS or issuer is None:
        yield Finding(check, "fail", f"{address}{METADATA} answers {answer.status} and no metadata.",
                      "Another program has that port, or a proxy does not pass /.well-known/* on.")
    elif issuer != expected:
        yield Finding(check, "fail", f"The server at {address} says its issuer is {issuer}; it must be {expected}.",
                      "Set OAUTH_ISSUER to the address that ServiceNow calls, reload the server, and run this command with its environment.")
    else:
        yield Finding(check, "ok", f"{address} serves the metadata of {issuer}")


def clock_of(check: str, answer: Answer, clock: Clock) -> Iterator[Finding]:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except (TypeError, ValueError):
        return
    if abs(theirs - clock()) > LEEWAY:
        yield Finding("clock", "fail", f"The answer of the {check} is of {moment(theirs)}, here it is {moment(clock())}.",
                      "Set both clocks by NTP (timedatectl set-ntp true).")


def release(address: str, http: Http) -> Iterator[Finding]:
    running = http.get(f"{address}/health/live").object().get("version")
    if running not in (None, __version__):
        yield Finding("release", "warn", f"{address} runs {running}; this command is of {__version__}.",
                      "If bin/upgrade put that there: systemctl reload mcp-server hands over to the new release. Elsewhere stop it, and start it "
                      "anew.")
