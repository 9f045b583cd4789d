"""GET a JSON document from a URL that a stranger gave, without becoming the stranger's hand in this network.

https only; the name is resolved once, every address of it is checked, and the connection goes to a checked one while the
certificate is verified for the name. No redirect is followed and no proxy setting is read. Time and size are bounded.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult, urlsplit

import orjson
import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from mcp_server.concurrency import give_up_after
from mcp_server.deadline import Deadline
from mcp_server.outbound.addresses import AddressRefused, AddressRule, NameUnresolved, is_public, resolve

SECONDS = 5.0
CONNECT_SECONDS = 2.0
OK, HTTPS = 200, 443
SERVER_ERRORS = 500
TRY_LATER = frozenset({408, 425, 429})
PART = 16384
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?([0-9]{1,9})", re.IGNORECASE)
_NOT_KEPT = re.compile(r"(?:^|[,\s])no-(?:store|cache)\b", re.IGNORECASE)
_UNREADABLE = re.compile(r"[^!-~]|[\\#@]")


class FetchFailed(Exception):
    """The document could not be had. The text says why, for the log; it has nothing of what was answered.

    `lasting`: it was refused for what it is, or for where it is. Asking again soon would not help.
    """

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class Fetched:
    """`max_age`: for how many seconds its server says it may be kept; None where it says nothing."""

    document: dict[str, Any]
    max_age: int | None
    media_type: str = "application/json"


Fetch = Callable[[str, int], Fetched]
"""A URL and the most bytes that are read."""


class SafeFetch:
    """`allowed` says which addresses may be connected to, `context` makes what verifies certificates: only a test gives others."""

    def __init__(self, allowed: AddressRule = is_public, context: Callable[[], ssl.SSLContext] = ssl.create_default_context) -> None:
        self._allowed = allowed
        self._make_context = context

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Made at the first use, since reading the machine's certificates takes a while."""
        return self._make_context()

    def __call__(self, url: str, most_bytes: int) -> Fetched:
        """The JSON object at `url`. Raises FetchFailed."""
        deadline = Deadline.after(SECONDS)
        with give_up_after(deadline.left, too_slow):
            try:
                place = _place(url)
                addresses = resolve(place.hostname or "", place.port or HTTPS, self._allowed)
                with ExitStack() as opened:
                    return _read(self._answer(addresses, place, deadline, opened), most_bytes, deadline)
            except (AddressRefused, HTTPError, OSError, ValueError) as error:
                lasting = isinstance(error, AddressRefused) and not isinstance(error, NameUnresolved)
                raise FetchFailed(f"{type(error).__name__}: {str(error)[:200]}", lasting=lasting) from error

    def _answer(self, addresses: list[str], place: SplitResult, deadline: Deadline, opened: ExitStack) -> urllib3.BaseHTTPResponse:
        """From the first address that can be connected to. `opened` closes what was opened for it."""
        for address in addresses[:-1]:
            with suppress(NewConnectionError, ConnectTimeoutError):
                return self._answer_from(address, place, deadline, opened)
        return self._answer_from(addresses[-1], place, deadline, opened)

    def _answer_from(self, address: str, place: SplitResult, deadline: Deadline, opened: ExitStack) -> urllib3.BaseHTTPResponse:
        left = deadline.left
        if not left:
            raise too_slow()
        pool = urllib3.HTTPSConnectionPool(
            address, place.port or HTTPS, maxsize=1, retries=False, ssl_context=self._context, cert_reqs="CERT_REQUIRED",
            server_hostname=place.hostname, timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, left), read=left))
        opened.callback(pool.close)
        response = pool.urlopen(
            "GET", (place.path or "/") + (f"?{place.query}" if place.query else ""), redirect=False, preload_content=False, decode_content=False,
            headers={"Host": place.netloc, "Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "servicenow-mcp-gateway"})
        opened.callback(response.close)
        return response


def _place(url: str) -> SplitResult:
    """The parts of a URL that can be read in one way only."""
    place = urlsplit(url)
    if place.scheme != "https" or not place.hostname or _UNREADABLE.search(url) or "%" in place.netloc:
        raise FetchFailed("not a plain https URL", lasting=True)
    return place


def _read(response: urllib3.BaseHTTPResponse, most_bytes: int, deadline: Deadline) -> Fetched:
    if response.status != OK:
        raise FetchFailed(f"status {response.status}", lasting=response.status < SERVER_ERRORS and response.status not in TRY_LATER)
    try:
        document = orjson.loads(read_body(response, most_bytes, deadline))
    except orjson.JSONDecodeError:
        raise FetchFailed("not JSON", lasting=True) from None
    if not isinstance(document, dict):
        raise FetchFailed("JSON, but no object", lasting=True)
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Fetched(document, max_age(response), media_type)


def max_age(response: urllib3.BaseHTTPResponse) -> int | None:
    """For how many seconds its server says that it may be kept; None where it says nothing."""
    cache_control = response.headers.get("Cache-Control", "")
    found = _MAX_AGE.search(cache_control)
    return 0 if _NOT_KEPT.search(cache_control) else int(found[1]) if found else None


def read_body(response: urllib3.BaseHTTPResponse, most_bytes: int, deadline: Deadline) -> bytes:
    """What comes, as it comes. The socket's own timeout follows the deadline, for where nothing else can interrupt a read. Raises FetchFailed."""
    body = bytearray()
    while part := response.read1(PART, decode_content=False):
        body += part
        if len(body) > most_bytes:
            raise FetchFailed(f"more than {most_bytes} bytes", lasting=True)
        left = deadline.left
        if not left:
            raise too_slow()
        connection = response.connection
        if isinstance(connection, HTTPConnection) and connection.sock is not None:
            connection.sock.settimeout(left)
    return bytes(body)


def too_slow() -> FetchFailed:
    return FetchFailed(f"not there within {SECONDS:.0f} seconds")
