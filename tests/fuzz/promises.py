"""What holds for every answer, whatever was sent. Each promise is a function; `PROMISES` is all of them."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.fuzz.changes import MARKUP
from tests.fuzz.endpoints import JSON_RPC, PAGE, PROGRAM, SHORT, Endpoint
from tests.fuzz.sending import Answer, Sent
from tests.fuzz.world import SECRETS_GIVEN, World, origin_and_path

INSIDE = re.compile(
    rb"Traceback|File \"|line \d+, in|site-packages|/home/|/usr/lib|/tmp/|<class |object at 0x|NoneType|\w+Error\("
    rb"|\b(?:mcp_server|\w+\.py|[Ww]erkzeug|[Ff]lask(?! (?:users|clients|registration-tokens|secrets)\b)|[Aa]uthlib|joserfc|SQLite|sqlite3?|"
    rb"SQLAlchemy|sqlalchemy|[Rr]edis|gunicorn|gevent|marshmallow|orjson|itsdangerous|[Jj]inja2?|psycopg|cryptography)\b")
ANY_KIND = ("application/json", "text/html", "text/event-stream")
PRINTABLE = re.compile(r"[ !#-\[\]-~]+")
OURS = frozenset({"/login", "/logout", "/oauth/authorize", "/grants", "/device", "/device/approval"})
OAUTH_BODY, SHORT_BODY = {"error", "error_description"}, {"error", "request_id", "timestamp"}


PUBLIC = frozenset({"client_id", "redirect_uri", "scope", "resource", "code_challenge_method", "response_type", "response_mode", "prompt"})
SECRET_MEMBERS = frozenset({"token_value", "client_secret", "registration_access_token"})


class Broken(AssertionError):
    """A promise was not kept. `promise` is its name."""

    def __init__(self, promise: str, what: object, sent: Sent, answer: Answer) -> None:
        super().__init__(f"{promise}: {what}\n{sent.method} {sent.path}?{sent.query}\n{sent.headers}\n{sent.body[:2000]!r}\n→ {answer.status} "
                         f"{answer.headers}\n{answer.body[:2000]!r}")
        self.promise = promise


def no_server_error(world, endpoint, sent, answer, logged):
    """A request can be wrong, never break us."""
    return [] if answer.status < 500 else [answer.status, logged[-3000:]]


def the_right_form(world: World, endpoint: Endpoint, sent: Sent, answer: Answer, logged):
    """An error has the form that those who call this endpoint can read."""
    if sent.method.upper() in ("HEAD", "OPTIONS") or answer.status in (204, 302, 303):
        return [answer.body] if answer.body and sent.method == "HEAD" else []
    if answer.status < 400 or (endpoint.name == "login" and answer.status in (401, 429)):
        return [] if answer.kind in ANY_KIND or not answer.body else [answer.kind]
    for form in _forms(endpoint, sent):
        if _has_form(form, sent, answer):
            return []
    return [answer.kind, "is not", *_forms(endpoint, sent)]


def _forms(endpoint, sent) -> tuple[str, ...]:
    """What is not routed to the endpoint, for its path or its method or its Host, is answered in the short form."""
    own = sent.path in {re.sub("<.*>", lambda _: sent.path.rpartition("/")[2], rule) for rule in endpoint.rules}
    routed = sent.method.upper() in ("GET", "POST", "PUT", "PATCH", "DELETE") and "Host" not in sent.headers
    return (endpoint.form,) if own and routed else (SHORT, PROGRAM, endpoint.form)


def _has_form(form, sent, answer) -> bool:
    if "text/html" in sent.headers.get("Accept", "") and form in (PAGE, SHORT):
        policy = answer.header("Content-Security-Policy")
        return answer.kind == "text/html" and b'<html lang="en">' in answer.body and policy.startswith("default-src 'none'")
    if answer.kind != "application/json":
        return False
    body = answer.json
    if form == JSON_RPC:
        errors = [each.get("error", {}) for each in (body if isinstance(body, list) else [body])]
        return all(isinstance(error, dict) and isinstance(error.get("code"), int) for error in errors)
    if not isinstance(body, dict):
        return False
    if form == SHORT:
        return set(body) == SHORT_BODY
    return set(body) == OAUTH_BODY and all(PRINTABLE.fullmatch(text) for text in body.values())


def nothing_unearned(world: World, endpoint: Endpoint, sent: Sent, answer: Answer, logged):
    """A token, a code, a secret or a session is given only to who proved that it is theirs."""
    gives = [*_given(world, answer)]
    if gives and not endpoint.earned(world, sent, answer):
        return gives
    shown = b"\n".join((answer.body, *(value.encode() for _, value in answer.headers)))
    shown += b"\n" + unquote(shown.decode("latin-1")).encode("latin-1", "replace")
    known = [secret for secret in world.secrets if secret.encode() in shown and secret.encode() not in sent.told]
    return [] if gives else known


def _given(world, answer):
    if answer.kind == "application/json" and re.search(rb'"result":{(?!}|"protocolVersion")', answer.body):
        yield "result"
    if answer.kind == "application/json" and answer.body.startswith(b"{") and answer.status < 400:
        body = answer.json
        yield from (name for name in SECRETS_GIVEN if name in body)
        if body.get("active"):
            yield "active"
    if "code" in dict(parse_qsl(urlsplit(answer.header("Location")).query)) and not answer.header("Location").startswith("/"):
        yield "code"
    for name, value in answer.headers:
        if name == "Set-Cookie" and (found := re.match(r"__Host-session=([^;]+)", value)):
            app = world.gateway.app
            if "user_id" in app.session_interface.get_signing_serializer(app).loads(found[1]):
                yield "session"


def nothing_of_the_inside(world, endpoint, sent, answer, logged):
    """No trace, path or library in an answer, but where the caller wrote it."""
    shown = answer.body + b"\n".join(value.encode() for _, value in answer.headers)
    return [found for found in INSIDE.findall(shown) if found.lower() not in sent.told.lower()]


def no_error_echoes_a_secret(world, endpoint, sent, answer, logged):
    """What was refused is not repeated. A redirect carries `state` as it came, and the sign-in form keeps the name that was typed."""
    if answer.status < 400 or (answer.status in (401, 429) and sent.path == "/login"):
        return []
    return [secret for secret in world.secrets if secret.encode() in answer.body]


def no_markup(world, endpoint, sent, answer, logged):
    """No markup of a caller in a page."""
    if answer.kind != "text/html":
        return []
    return [text for text in MARKUP if "<" in text and text.encode() in answer.body]


def no_injected_header(world, endpoint, sent, answer, logged):
    """Nobody writes our headers."""
    return [(name, value) for name, value in answer.headers
            if name.lower() == "x-injected" or "injected=" in value or re.search(r"[\r\n\0]", name + value) or not value.isascii()]


def redirects_go_home(world: World, endpoint: Endpoint, sent: Sent, answer: Answer, logged):
    """To our own pages, or to what was registered; only the port of a loopback address may differ."""
    location = answer.header("Location")
    if not location:
        named = re.search(r"form-action 'self' ([^;]+)", answer.header("Content-Security-Policy"))  # where a consent page says that its answer goes
        known = {re.match(r"\w+://[^/:]+", uri)[0] for uri in world.redirect_uris}
        return [named[1]] if named and re.sub(r":\d+$", "", named[1]) not in known else []
    if location.startswith("/") and not location.startswith(("//", "/\\")):
        asked = dict(parse_qsl(urlsplit(location).query))
        mine = endpoint.name == "login" or urlsplit(location).path in OURS
        return [] if mine and not asked.get("next", "/").startswith("//") else [location]
    target = re.sub(r"^(http://127\.0\.0\.1):\d+(?=/)", r"\1", origin_and_path(location))
    return [] if target in world.redirect_uris and "#" not in location else [location]


def the_log_is_silent(world: World, endpoint: Endpoint, sent: Sent, answer: Answer, logged: str):
    """No secret in a log line. Who writes one where a name belongs is logged as that name."""
    if not logged:
        return ["nothing was logged"]
    public = _public_places(sent)
    return [secret for secret in world.secrets if _mark(secret) in logged and _mark(secret) not in public]


def _mark(secret: str) -> str:
    """The part of it that no other one has, and that is left where a line is cut."""
    return secret.rpartition(".")[2][:20] if secret.count(".") == 2 else secret[:20]


def _public_places(sent: Sent) -> str:
    """The path, and the parameters that are names and addresses: an operator reads in the log what was wrong with them."""
    pairs = parse_qsl(sent.query, keep_blank_values=True) + parse_qsl(sent.body.decode("utf-8", "replace"), keep_blank_values=True)
    try:
        members = json.loads(sent.body)
    except (ValueError, RecursionError):
        members = {}
    named = {name: value for name, value in members.items() if name not in SECRET_MEMBERS} if isinstance(members, dict) else members
    return "\n".join((sent.path, json.dumps(named), *(value for name, value in pairs if name in PUBLIC)))


PROMISES = (no_server_error, the_right_form, nothing_unearned, no_error_echoes_a_secret, nothing_of_the_inside, no_markup, no_injected_header,
            redirects_go_home,
            the_log_is_silent)


def check(world: World, endpoint: Endpoint, sent: Sent, answer: Answer, logged: str) -> None:
    """Raises Broken."""
    for promise in PROMISES:
        if broken := promise(world, endpoint, sent, answer, logged):
            raise Broken(promise.__name__, broken[:3], sent, answer)
