"""An HTTP client small enough to be read: what ServiceNow's server sends, and what the browser of a person sends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlencode

import urllib3

from mcp_server.clock import Elapsed, elapsed

CONNECT_SECONDS, READ_SECONDS = 5.0, 100.0
MOST_BYTES = 5_000_000  # ServiceNow reads no more either


class NotReached(Exception):
    """No answer. The text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response. `seconds` is how long it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    seconds: float

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON, from one server-sent event too. None when it is neither."""
        text = self.text
        if self.headers.get("Content-Type", "").startswith("text/event-stream"):
            text = "\n".join(line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:"))
        try:
            return json.loads(text)
        except ValueError:
            return None

    def object(self) -> dict[str, Any]:
        """The JSON object in the body; empty when there is none."""
        value = self.json()
        return value if isinstance(value, dict) else {}

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")


class Http:
    """Sends requests and follows no redirect. `request` is a machine's; `visit` is a person's, with cookies."""

    def __init__(self, *, read_seconds: float = READ_SECONDS, clock: Elapsed = elapsed) -> None:
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds))
        self._clock = clock
        self._cookies: dict[str, str] = {}

    def close(self) -> None:
        self._pool.clear()

    def get(self, url: str) -> Answer:
        return self.request("GET", url, headers={"Accept": "application/json"})

    def post_json(self, url: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
        return self.request("POST", url, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})

    def post_form(self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **(headers or {})}
        return self.request("POST", url, urlencode(form).encode(), sent)

    def visit(self, url: str, form: Mapping[str, str] | None = None) -> Answer:
        """As a browser does: cookies go along and are kept. There is one server, so one jar."""
        headers = {"Accept": "text/html"}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if form is None:
            answer = self.request("GET", url, headers=headers)
        else:
            answer = self.request("POST", url, urlencode(form).encode(), {**headers, "Content-Type": "application/x-www-form-urlencoded"})
        self._keep(answer)
        return answer

    def request(self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Raises NotReached."""
        started = self._clock()
        try:
            response = self._pool.request(method, url, body=body, headers=headers, redirect=False, preload_content=False)
            try:
                data = response.read(MOST_BYTES, decode_content=True)
            finally:
                response.close()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise NotReached(_reason(error)) from error
        return Answer(response.status, response.headers, data, url, self._clock() - started)

    def first_event(self, url: str, body: Any, headers: Mapping[str, str], seconds: float) -> Answer:
        """What had come when the first server-sent event was whole, or the answer ended; then it hangs up.

        Raises NotReached after so many seconds of silence.
        """
        started, data = self._clock(), b""
        sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
        try:
            response = self._pool.request("POST", url, body=json.dumps(body).encode(), headers=sent, redirect=False, preload_content=False,
                                          timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds))
            try:
                while b"\n\n" not in data and len(data) < MOST_BYTES and (more := response.read1(65536)):
                    data += more
            finally:
                response.close()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise NotReached(_reason(error)) from error
        return Answer(response.status, response.headers, data, url, self._clock() - started)

    def _keep(self, answer: Answer) -> None:
        received: SimpleCookie = SimpleCookie()
        for line in getattr(answer.headers, "getlist", lambda _: [])("Set-Cookie"):
            try:
                received.load(line)
            except CookieError:
                continue
        for name, cookie in received.items():
            if cookie["max-age"] == "0" or not cookie.value:
                self._cookies.pop(name, None)
            else:
                self._cookies[name] = cookie.value


def _reason(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.NewConnectionError | ConnectionRefusedError):
        return "nothing listens there, or the name is unknown"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return f"no connection within {CONNECT_SECONDS:g} s"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "connected, but no answer in time"
    if isinstance(error, urllib3.exceptions.SSLError):
        return f"the TLS connection failed: {error}"
    return str(error) or type(error).__name__


@dataclass(slots=True)
class Form:
    """A form of a page: where it goes, its hidden fields, and the names that a person fills in or presses."""

    action: str = ""
    hidden: dict[str, str] = field(default_factory=dict)
    inputs: set[str] = field(default_factory=set)
    buttons: set[tuple[str, str]] = field(default_factory=set)


class Page(HTMLParser):
    """The forms of a page, what it is called, and what it warns of."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.heading, self.alert = "", ""
        self._reading: str | None = None
        self.feed(html)
        self.close()

    def form_with(self, *inputs: str) -> Form | None:
        """The first form that has all these fields."""
        return next((form for form in self.forms if set(inputs) <= form.inputs | set(form.hidden)), None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif tag == "input" and self.forms and "name" in given:
            if given.get("type") == "hidden":
                self.forms[-1].hidden[given["name"]] = given.get("value", "")
            else:
                self.forms[-1].inputs.add(given["name"])
        elif tag == "button" and self.forms and "name" in given:
            self.forms[-1].buttons.add((given["name"], given.get("value", "")))
        if tag == "h1" or given.get("role") == "alert":
            self._reading = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._reading:
            self._reading = None

    def handle_data(self, data: str) -> None:
        if self._reading == "h1":
            self.heading = f"{self.heading}{data}"
        elif self._reading is not None:
            self.alert = f"{self.alert}{data}"
