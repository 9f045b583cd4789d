"""What `flask doctor` looks at. Each check says what it found, and what to do where something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from config.settings import ConfigurationError, Settings
from mcp_server.cli.browser import Answer, Http, NotReached
from mcp_server.clock import moment
from mcp_server.deadline import Deadline
from mcp_server.errors import StoreUnavailable
from mcp_server.llm.locality import looks_public
from mcp_server.oauth.redirect_uris import LOOPBACK
from mcp_server.oauth.tokens import LEEWAY
from mcp_server.storage import migrations
from mcp_server.web.services import Services, Store

ENV_FILE = Path(".env")
OTHERS_MAY_READ = 0o077
MODEL_SECONDS, SELF_TEST_SECONDS, HTTP_SECONDS = 5.0, 30.0, 10.0
OK_STATUS = 200
METADATA = "/.well-known/oauth-authorization-server"
PREPARE = "Run: python -m mcp_server.prepare"


@dataclass(frozen=True, slots=True)
class Finding:
    """`said` is what was found; `next_step` is for what is not ok."""

    check: str
    level: Literal["ok", "warn", "fail"]
    said: str
    next_step: str = ""


Check = Callable[[Services], Iterator[Finding]]


def refused(error: ConfigurationError) -> Iterator[Finding]:
    """All that can be told when the configuration is refused."""
    for problem in error.problems:
        yield Finding("configuration", "fail", problem,
                      "Mend it in .env or in the environment of the service; config/example.env explains every setting.")


def env_file(settings: Settings | None = None) -> Iterator[Finding]:
    if (settings is None or not settings.production) and ENV_FILE.is_file() and ENV_FILE.stat().st_mode & OTHERS_MAY_READ:
        yield Finding(".env", "warn", "It holds secrets, and other users of this machine can read it.", "Run: chmod 600 .env")


def configuration(built: Services) -> Iterator[Finding]:
    settings = built.settings
    yield Finding("configuration", "ok", f"accepted; environment {settings.environment}, issuer {settings.issuer}")
    yield from env_file(settings)
    if urlsplit(settings.issuer).hostname in LOOPBACK:
        yield Finding("issuer", "warn", f"{settings.issuer} is this machine: ServiceNow cannot reach it.",
                      "Set OAUTH_ISSUER to the public https address, once there is a tunnel or proxy.")
    elif not settings.issuer.startswith("https://"):
        yield Finding("issuer", "warn", f"{settings.issuer} is not https: tokens travel readable.", "Set OAUTH_ISSUER to an https address.")
    if not settings.servicenow_instances:
        yield Finding("instance", "warn", "SERVICENOW_INSTANCE is not set: only loopback redirect URIs may be registered.",
                      "Set SERVICENOW_INSTANCE=https://INSTANCE.service-now.com.")


def state(built: Services) -> Iterator[Finding]:
    settings = built.settings
    where, mend = ("Redis", "Start Redis, and check REDIS_URL.") if settings.redis_url else (
        str(settings.state_path), f"The folder must exist and be writable (STATE_PATH). {PREPARE}")
    yield _ping("state store", built.state, where, mend)


def registry(built: Services) -> Iterator[Finding]:
    where, mend = "the database of DATABASE_URL", "Check DATABASE_URL, and that the database runs and may be reached."
    try:
        if migrations.pending(built.settings.database_url):
            yield Finding("registry", "fail", "The tables are not there, or not those of this release.", PREPARE)
            return
    except StoreUnavailable as error:
        yield Finding("registry", "fail", f"{where} does not answer: {error.detail}", mend)
        return
    yield _ping("registry", built.registry, f"{where} (its tables are up to date)", mend)


def _ping(check: str, store: Store, where: str, mend: str) -> Finding:
    try:
        store.ping()
    except StoreUnavailable as error:
        return Finding(check, "fail", f"{where} does not answer: {error.detail or error.message}", mend)
    return Finding(check, "ok", f"{where} answers")


def people(built: Services) -> Iterator[Finding]:
    try:
        users = [user for user in built.users.all() if not user.disabled]
        clients, grants = len(built.clients.all()), len(built.grants.all(built.clock()))
    except StoreUnavailable:
        return  # the checks of the stores have said why
    if users or built.authorize.automatic:
        yield Finding("users", "ok", f"{len(users)} may sign in")
    else:
        yield Finding("users", "warn", "Nobody can sign in, so nobody can approve an application.", "Run: flask users add NAME")
    yield Finding("clients", "ok", f"{clients} registered, {grants} approvals that have not expired"
                  f"{'' if grants else ': no token was issued to a person yet'}")


def model(built: Services) -> Iterator[Finding]:
    status = built.model.status(Deadline.after(MODEL_SECONDS))
    if not status.available:
        yield Finding("model", "fail", f"{status.back_end} cannot answer: the tools that need a model fail.",
                      status.problem or "Start Ollama, or set OLLAMA_API_URL.")
        return
    said = f"{status.back_end} answers with {status.model or 'a model'}"
    if note := status.facts.get("note") if status.back_end != "embedded" else None:
        yield Finding("second back end", "warn", str(note), "Mend the first one; it is asked again by itself.")
    if status.back_end == "embedded":
        yield Finding("model", "warn", f"{said}. {status.facts.get('note', 'It is an evaluation model: do not rely on it.')}",
                      "Start Ollama with a model, for answers to rely on.")
    else:
        yield Finding("model", "ok", said)
    for step in built.self_test.run(Deadline.after(SELF_TEST_SECONDS))[1:]:
        level: Literal["ok", "warn", "fail"] = "ok" if step.ok else "fail" if step.name == "schema" else "warn"
        yield Finding(step.name, level, step.said, step.next_step)


def model_addresses(built: Services) -> Iterator[Finding]:
    settings = built.settings
    addresses = {
        "OLLAMA_API_URL": settings.ollama_url, "LLAMA_CPP_URL": settings.llama_cpp_url, "LLM_URL": settings.llm_url,
        "LLM_FALLBACK_URL": settings.llm_fallback_url, "EMBEDDING_URL": settings.embedding_url}
    for name, url in addresses.items():
        if url is not None and looks_public(url):
            yield Finding("model address", "warn", f"{name} is not an address of a private network: prompts may leave yours.",
                          "Use the server's private address, or a name that ends in .internal or .local, unless you mean it so.")
        if url is not None and url.startswith("http://") and urlsplit(url).hostname not in LOOPBACK:
            yield Finding("model address", "warn", f"{name} is not https: prompts travel readable to another machine.",
                          "Let that server, or a proxy before it, speak https, unless the network between is yours alone.")


def clock(built: Services) -> Iterator[Finding]:
    """Against the files of this server: what was written lies in the past. The running server's clock is compared by `server`."""
    now = built.clock()
    newest = max((path.stat().st_mtime for path in _files(built.settings) if path.exists()), default=0.0)
    if newest > now + LEEWAY:
        yield Finding("clock", "fail",
                      f"It is {moment(now)}, but a file of this server was written at {moment(newest)}: the clock was set back, or is wrong.",
                      "Set the clock by NTP (timedatectl set-ntp true): tokens would be refused as expired or not yet valid.")
    else:
        yield Finding("clock", "ok", f"{moment(now)}, not before any file of this server was written")


def _files(settings: Settings) -> list[Path]:
    database = settings.database_url.partition("sqlite:///")[2]
    return [Path(__file__), settings.state_path, *([Path(database)] if database else [])]


def server(built: Services) -> Iterator[Finding]:
    """The metadata of the running server, from this machine, and from outside when there is an outside address."""
    settings = built.settings
    yield from _metadata(built, "server", local_address(settings), warn="Start it: bin/serve, or the service (systemctl start mcp-server).")
    if urlsplit(settings.issuer).hostname not in LOOPBACK:
        yield from _metadata(built, "public address", settings.issuer, warn="Check that the tunnel or proxy runs and points to HOST:PORT.")


def local_address(settings: Settings) -> str:
    """Where this machine reaches the server."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 -- the address to call instead
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _metadata(built: Services, check: str, address: str, warn: str) -> Iterator[Finding]:
    http = Http(read_seconds=HTTP_SECONDS)
    try:
        answer = http.get(address + METADATA)
    except NotReached as error:
        yield Finding(check, "warn", f"{address} does not answer: {error}.", warn)
        return
    finally:
        http.close()
    yield from _judged(built, check, address, answer)


def _judged(built: Services, check: str, address: str, answer: Answer) -> Iterator[Finding]:
    issuer = answer.object().get("issuer")
    if answer.status != OK_STATUS or issuer is None:
        yield Finding(check, "fail", f"{address}{METADATA} answers {answer.status} and no metadata.",
                      "Another program has that port, or a proxy stands before it: at Cloudflare, skip Bot Fight Mode and the WAF "
                      "for /mcp, /oauth/*, /register and /.well-known/*.")
    elif issuer != built.settings.issuer:
        yield Finding(check, "fail", f"The server at {address} says its issuer is {issuer}; these settings say {built.settings.issuer}.",
                      "It runs with other settings: restart it, or run this command with its environment.")
    else:
        yield Finding(check, "ok", f"{address} serves the metadata of {issuer}")
    yield from _clock_of(built, check, answer)


def _clock_of(built: Services, check: str, answer: Answer) -> Iterator[Finding]:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except (TypeError, ValueError):
        return
    if abs(theirs - built.clock()) > LEEWAY:
        yield Finding("clock", "fail", f"The answer of the {check} is of {moment(theirs)}, here it is {moment(built.clock())}.",
                      "Set both clocks by NTP (timedatectl set-ntp true).")


CHECKS: tuple[Check, ...] = (configuration, state, registry, people, model, model_addresses, clock, server)
