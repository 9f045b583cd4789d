"""A request in the making, and how it reaches the application: as a WSGI server would hand it over, whatever is in it."""

from __future__ import annotations

import io
import itertools
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_from_bytes, quote_plus, unquote_to_bytes

from werkzeug.test import run_wsgi_app

from tests.gateway import FORM, HOST

_numbers = itertools.count()


@dataclass
class Draft:
    """A request that succeeds, until it is changed. `form` goes into the query of a GET; `members` is a JSON body."""

    method: str
    path: str
    form: dict[str, list[str]] = field(default_factory=dict)
    members: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    appended: bytes = b""
    body: bytes | None = None
    chunked: bool = False

    def given(self, name) -> list[str]:
        return self.form.get(name, [])


@dataclass(frozen=True)
class Sent:
    """What went over the wire. `form` is its parameters by a reading of the tests' own; None where they are not a plain form."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    told: bytes
    """All of it, also decoded: what an answer may have from the caller itself."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def kind(self) -> str:
        return self.header("Content-Type").partition(";")[0]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def encoded(form) -> bytes:
    return "&".join(f"{quote_plus(name, errors='surrogatepass')}={quote_plus(value, errors='surrogatepass')}"
                    for name, values in form.items() for value in values).encode()


def finished(draft: Draft) -> Sent:
    """The bytes of the draft. The parameters are in the query or in the body, as the method has it; JSON where there are members."""
    in_query = draft.method in ("GET", "HEAD") and draft.members is None
    parameters = b"&".join(part for part in (encoded(draft.form), draft.appended) if part)
    query = "&".join(part for part in (draft.query, parameters.decode("latin-1") if in_query else "") if part)
    body, headers = draft.body, {**draft.headers}
    if body is None:
        body = b"" if in_query else json.dumps(draft.members).encode() + draft.appended if draft.members is not None else parameters
    if body and "Content-Type" not in headers:
        headers["Content-Type"] = "application/json" if draft.members is not None else FORM
    raw = b"\n".join(part.encode("utf-8", "surrogatepass") for part in (draft.path, query, *headers.values())) + b"\n" + body
    plain = unquote_to_bytes(raw.replace(b"+", b" "))
    text = raw.decode("latin-1").encode("unicode_escape").replace(b"\\\\", b"\\")
    return Sent(draft.method, draft.path, query, headers, body, b"\n".join((raw, plain, text)))


def send(app, sent: Sent, *, chunked=False) -> Answer:
    """Call the application. Header names and values are as bytes in latin-1, which is what WSGI has."""
    environ = {
        "REQUEST_METHOD": sent.method, "SCRIPT_NAME": "", "PATH_INFO": sent.path.encode("utf-8", "surrogatepass").decode("latin-1"),
        "QUERY_STRING": sent.query.encode("utf-8", "surrogatepass").decode("latin-1"),
        "RAW_URI": quote_from_bytes(sent.path.encode("utf-8", "surrogatepass")),
        "SERVER_NAME": HOST, "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": f"127.0.{next(_numbers) % 250}.1",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "https", "wsgi.input": io.BytesIO(sent.body), "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False, "HTTP_HOST": HOST}
    if chunked:
        environ |= {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    else:
        environ["CONTENT_LENGTH"] = str(len(sent.body))
    for name, value in sent.headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value.encode("utf-8", "surrogatepass").decode("latin-1")
    body, status, headers = run_wsgi_app(app, environ, buffered=True)
    return Answer(int(status.split()[0]), list(headers), b"".join(body))
